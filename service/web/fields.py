"""JSON -> Struct, with every invalid field named at once; msgspec itself stops at the first.

Refuses fields it does not know, and to guess: a number in quotes is no number.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import NODEFAULT, Struct, ValidationError, structs

from service.errors import InvalidRequest
from telemetry.failure import FieldError

Body = TypeVar("Body", bound=Struct)

WHOLE = "body"
"""The field's name where the body as a whole is wrong."""
MOST, LONGEST = 50, 200
"""Unknown fields that are named, and characters of such a name."""

ECHO = re.compile(r"Invalid enum value .*?(?P<where> - at `[^`]*`)?", re.DOTALL)
"""The one sentence of msgspec that has the value in it."""


def words_of(error: ValidationError) -> str:
    """What is wrong, without a word of the value: who sent it knows it, and nobody else needs to."""
    found = ECHO.fullmatch(str(error))
    return f"Not one of the values that are taken{found['where'] or ''}" if found else str(error)


def decode(kind: type[Body], data: bytes) -> tuple[Mapping[str, Any], tuple[FieldError, ...]]:
    """Read a JSON object as the fields of `kind`, as far as they are valid, and what is wrong with the rest.

    Raises:
        InvalidRequest: it is no JSON object at all.
    """
    given, known = _object(data), _fields(kind)
    errors = _unknown([name for name in given if name not in known])
    values: dict[str, Any] = {}
    for name, field in known.items():
        if name not in given:
            errors += [FieldError(name, "Required")] if field.default is NODEFAULT else []
            continue
        try:
            values[field.name] = msgspec.convert(given[name], field.type)
        except ValidationError as error:
            errors.append(FieldError(name, words_of(error)))
    return values, tuple(errors)


def _unknown(names: Sequence[str]) -> list[FieldError]:
    """Each by its name; of very many or very long ones so much that an answer stays short."""
    errors = [FieldError(name[:LONGEST], "Unknown field") for name in names[:MOST]]
    more = len(names) - MOST
    return [*errors, FieldError(WHOLE, f"{more} further unknown fields")] if more > 0 else errors


@cache
def _fields(kind: type[Struct]) -> Mapping[str, structs.FieldInfo]:
    return {field.encode_name: field for field in structs.fields(kind)}


def _object(data: bytes) -> dict[str, Any]:
    try:
        given = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _wrong(f"Not valid JSON: {error}") from error
    if not isinstance(given, dict):
        raise _wrong("Expected a JSON object")
    return given  # pyright: ignore[reportUnknownVariableType] - JSON


def _wrong(message: str) -> InvalidRequest:
    return InvalidRequest("The body is not what this route takes.", fields=(FieldError(WHOLE, message),))
