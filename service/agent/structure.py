"""Answers in a form that the caller chose: its schema is looked through, and the answer held against it.

Refuses what models' APIs refuse, or nobody here could check: open objects, parts without a type, patterns,
schemas that hold themselves. Refuses half an answer.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec

from service.agent.conversation.history import text_of
from service.agent.hold import Message
from service.errors import UpstreamFailed
from service.tools import foreign
from service.tools.foreign import Unfit

Json = Mapping[str, Any]
Placed = tuple[str, Json]
"""A part of a schema with its place in it, such as `$.properties.total`."""

LARGEST = 4 << 20
"""Bytes of an answer that is held against its schema."""
REFERENCES = 200_000
"""That are followed for it."""
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
NAMED = ("properties", "$defs", "dependentSchemas")
SINGLE = ("items", "contains", "not", "if", "then", "else", "propertyNames")
TYPING = {"type", "anyOf", "oneOf", "allOf", "$ref", "enum", "const"}
UNCHECKED = ("pattern", "patternProperties", "unevaluatedProperties", "$dynamicRef")
"""Words that are not looked at when an answer comes: a pattern can hold the process for hours."""
CUT_OFF = {
    "max_tokens": "The answer was cut off by its length; allow it more `maxTokens`.",
    "refusal": "The model refused to answer.",
}


def look_through(document: object) -> Json:
    """The schema itself.

    Raises:
        Unfit: it is none that could be used; why, and where.
    """
    schema = foreign.read(document).document
    for place, part in parts("$", schema):
        _check(place, part)
    _check_finite(schema)
    return schema


async def fit(schema: Json, messages: Sequence[Message], stop_reason: str | None) -> Any:
    """The value that the last of these messages is.

    Raises:
        UpstreamFailed: it is none that fits, or not whole; repeats nothing of it but where it does not fit.
    """
    if stop_reason in CUT_OFF:
        raise UpstreamFailed(CUT_OFF[stop_reason])
    text = text_of(messages[-1]) if messages else ""
    return await asyncio.to_thread(_read, schema, text)  # a large one takes a while


def parts(place: str, schema: Json) -> Iterator[Placed]:
    """A schema and every schema in it, each with its place."""
    yield place, schema
    for word, part in _within(schema):
        yield from parts(f"{place}.{word}", part)


def _within(schema: Json) -> Iterator[Placed]:
    named = [(f"{word}.{name}", part) for word in NAMED for name, part in _dict(schema.get(word)).items()]
    listed = [(f"{word}[{at}]", part) for word in LISTS for at, part in enumerate(_list(schema.get(word)))]
    single = [(word, schema[word]) for word in SINGLE if word in schema]
    for place, part in (*named, *listed, *single):
        if not isinstance(part, dict):
            raise Unfit(f"a part is no object at $.{place}")
        yield place, cast("Json", part)


def _dict(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else ()


def _check(place: str, part: Json) -> None:
    if not TYPING & part.keys():
        raise Unfit(f"a part has no type at {place}")
    if found := [word for word in UNCHECKED if word in part]:
        raise Unfit(f"{found[0]} is not checked here at {place}")
    kinds = part.get("type", ())
    if "object" in (kinds if isinstance(kinds, list) else (kinds,)) and part.get(
        "additionalProperties", False
    ):
        raise Unfit(f"additionalProperties must be false at {place}")


def _check_finite(schema: Json) -> None:
    """Follow every reference to where it leads, until none is left or one leads back to itself."""
    done: set[str] = set()

    def follow(pointer: str, above: tuple[str, ...]) -> None:
        if pointer in above:
            raise Unfit(f"the schema holds itself by {pointer}")
        if pointer in done:
            return
        for _, part in parts("$", _at(schema, pointer)):
            if isinstance(part.get("$ref"), str):
                follow(part["$ref"], (*above, pointer))
        done.add(pointer)

    follow("#", ())


def _at(schema: Json, pointer: str) -> Json:
    """The part that a pointer leads to, which was seen to be there; of the whole all but its definitions."""
    if pointer == "#":
        return {word: part for word, part in schema.items() if word != "$defs"}
    found: Any = foreign.find(schema, pointer)
    if not isinstance(found, dict):
        raise Unfit(f"{pointer} leads to no object")
    return cast("Json", found)


def _read(schema: Json, text: str) -> Any:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        raise UpstreamFailed("The answer is no JSON.") from error
    try:
        return foreign.Schema(document=schema).decode(value, LARGEST, REFERENCES)
    except Unfit as error:
        raise UpstreamFailed(
            f"The answer does not fit `responseFormat.schema` at {error.where}."
            if error.where
            else f"The answer could not be held against `responseFormat.schema`: {error}."
        ) from error
