"""The JSON schema of a tool's arguments, closed and in one piece, as models read it best.

Refuses arguments that take unknown fields or hold themselves: the model would be told a form we do not keep.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, cast

import msgspec
from msgspec import Struct

REFERENCE = "#/$defs/"


@cache  # every turn offers its tools anew, and their types stay what they are
def describe(arguments: type[Struct]) -> dict[str, Any]:
    """Give the object schema of a Struct without `$ref`; every Struct in it has additionalProperties false.

    It is made once for each Struct: who changes it, copies it.

    Raises:
        ValueError: The Struct, or one inside it, takes unknown fields or holds itself.
    """
    schema = msgspec.json.schema(arguments)
    definitions: Mapping[str, dict[str, Any]] = schema.get("$defs", {})
    _check_closed(definitions)
    return _inline(schema["$ref"], definitions, ())


def _check_closed(definitions: Mapping[str, dict[str, Any]]) -> None:
    for name, definition in definitions.items():
        if "properties" in definition and definition.get("additionalProperties") is not False:
            raise ValueError(f"The arguments {name} have to be declared with forbid_unknown_fields=True.")


def _inline(
    reference: str, definitions: Mapping[str, dict[str, Any]], above: tuple[str, ...]
) -> dict[str, Any]:
    if reference in above:
        raise ValueError(f"The arguments {reference.removeprefix(REFERENCE)} hold themselves.")
    # A class's name says nothing to the model.
    definition = {k: v for k, v in definitions[reference.removeprefix(REFERENCE)].items() if k != "title"}
    return cast("dict[str, Any]", _resolve(definition, definitions, (*above, reference)))


def _resolve(part: object, definitions: Mapping[str, dict[str, Any]], above: tuple[str, ...]) -> object:
    if isinstance(part, list):
        return [_resolve(item, definitions, above) for item in cast("list[object]", part)]
    if not isinstance(part, dict):
        return part
    fields = cast("dict[str, object]", part)
    inlined = {name: _resolve(value, definitions, above) for name, value in fields.items() if name != "$ref"}
    reference = fields.get("$ref")
    # What stands beside a reference is said of this place, so it wins over what the definition says.
    return _inline(reference, definitions, above) | inlined if isinstance(reference, str) else inlined
