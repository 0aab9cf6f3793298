"""One audit event as the view "AuditEvent" shows it.

Refuses to compute what the view computes: what was erased or sealed is the view's to say.
"""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct, structs
from piccolo.querystring import QueryString

MILLION = 1_000_000


class Event(Struct, frozen=True, kw_only=True, rename="camel"):
    """One event; `created_at` is ISO 8601 (UTC, milliseconds), `cost` US dollars out of `cost_micros`.

    `log_index` is its place in the sealed log. `metadata` is as in the contract (section 6); its `query` is
    what the caller wrote, where it is kept.
    """

    id: str
    entity_type: str
    entity_id: str
    action: str
    actor_id: str | None
    metadata: Mapping[str, Any]
    created_at: str
    role: str | None
    outcome: str | None
    category: str | None
    code: str | None
    model: str | None
    trace_id: str | None
    request_id: str | None
    input_tokens: int
    output_tokens: int
    total_tokens: int
    cost: float
    cost_micros: int
    response_time: int | None
    count: int
    log_index: int


NAMES = tuple(each.encode_name for each in structs.fields(Event))
"""The view's columns, in its order; after them comes the tenant, which is in the metadata too."""

COLUMNS = QueryString(", ".join(f'shown."{name}"' for name in NAMES))


def event_of(row: Mapping[str, Any]) -> Event:
    """Read a row of the view."""
    values = {each.name: row[each.encode_name] for each in structs.fields(Event)}
    # One division for every engine: PostgreSQL's would be a decimal.
    values["cost"] = int(row["costMicros"]) / MILLION
    values["metadata"] = _object(row["metadata"])
    return Event(**values)


def _object(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:  # half of a surrogate pair, which JSON's grammar allows and UTF-8 does not
        return json.loads(
            json.dumps(json.loads(text), ensure_ascii=False).encode("utf-8", "backslashreplace")
        )
