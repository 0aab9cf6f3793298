"""JSON -> Struct, with every invalid field named at once; msgspec itself stops at the first.

Refuses fields it does not know, and to guess: a number in quotes is no number.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import NODEFAULT, Struct, ValidationError, structs

from service.errors import InvalidRequest
from telemetry.failure import FieldError

Body = TypeVar("Body", bound=Struct)

WHOLE = "body"
"""The field's name where the body as a whole is wrong."""


def decode(kind: type[Body], data: bytes) -> tuple[Mapping[str, Any], tuple[FieldError, ...]]:
    """Read a JSON object as the fields of `kind`, as far as they are valid, and what is wrong with the rest.

    Raises:
        InvalidRequest: it is no JSON object at all.
    """
    given, known = _object(data), {field.encode_name: field for field in structs.fields(kind)}
    errors = [FieldError(name, "Unknown field") for name in given if name not in known]
    values: dict[str, Any] = {}
    for name, field in known.items():
        if name not in given:
            errors += [FieldError(name, "Required")] if field.default is NODEFAULT else []
            continue
        try:
            values[field.name] = msgspec.convert(given[name], field.type)
        except ValidationError as error:
            errors.append(FieldError(name, str(error)))
    return values, tuple(errors)


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
