"""A caller's schema in the words that the Messages API takes: one type for each part.

Refuses nothing: what cannot be said there the SDK puts into a part's description, and we check the answer.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from service.agent.structure import LISTS, NAMED, SINGLE, Json

Adapt = Callable[[dict[str, Any]], dict[str, Any]]
"""The SDK's own: closes objects, and moves what the API does not know into descriptions."""


def output_config(schema: Json, adapt: Adapt) -> dict[str, Any]:
    """What asks the API for an answer by this schema."""
    return {"format": {"type": "json_schema", "schema": adapt(single(schema))}}


def single(schema: Json) -> dict[str, Any]:
    """The same schema, but that a part of several types is a choice between parts of one."""
    inner = {word: _inner(word, part) for word, part in schema.items()}
    kinds = inner.get("type")
    if not isinstance(kinds, list) or inner.keys() & {"enum", "const"}:
        return inner
    said = {word: inner[word] for word in ("title", "description", "$defs") if word in inner}
    rest = {word: part for word, part in inner.items() if word not in said}
    return {**said, "anyOf": [{**rest, "type": kind} for kind in cast("list[str]", kinds)]}


def _inner(word: str, part: Any) -> Any:
    if word in NAMED:
        return {name: single(each) for name, each in cast("Mapping[str, Json]", part).items()}
    if word in LISTS:
        return [single(each) for each in cast("Sequence[Json]", part)]
    return single(part) if word in SINGLE else part
