"""What an event must look like by the values that were sealed: the visible side that a proof covers.

Refuses to speak of names and texts: a name can be erased, and a text is held against its commitment.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import structs

from service.seal.leaf import COLUMNS, Value
from service.store.event import MILLION, Event

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SEALED_AS: Mapping[str, str] = MappingProxyType({"response_time": "response_time_ms"})
"""Fields of an event that are sealed under another name."""

OTHERWISE = {"metadata", "created_at"}
"""Fields that are shown in another form than they are sealed in."""

PLAIN: Mapping[str, int] = MappingProxyType(
    {
        each.encode_name: COLUMNS.index(SEALED_AS.get(each.name, each.name))
        for each in structs.fields(Event)
        if SEALED_AS.get(each.name, each.name) in COLUMNS and each.name not in OTHERWISE
    }
)
"""The fields that are shown as they are sealed, and where they stand in COLUMNS."""


def shown(values: Sequence[Value]) -> Mapping[str, Any]:
    """The visible fields by the sealed values of COLUMNS; none where they cannot be an event's."""
    sealed: dict[str, Any] = dict(zip(COLUMNS, values, strict=True))
    try:
        return {name: values[place] for name, place in PLAIN.items()} | {
            "metadata": msgspec.json.decode(sealed["metadata"], type=dict[str, Any]),
            "createdAt": _moment(sealed["created_at"]),
            "totalTokens": sealed["input_tokens"] + sealed["output_tokens"],
            "cost": sealed["cost_micros"] / MILLION,
        }
    except (TypeError, ValueError, OverflowError):  # nobody sealed these
        return {}


def _moment(microseconds: int) -> str:
    at = EPOCH + timedelta(microseconds=microseconds)  # exact, where a float of seconds is not
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"
