"""Arguments for a tool call, made up from the tool's JSON schema.

Refuses nothing: a schema it cannot follow gets an empty object, and the tool may complain.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Struct, field

DEEPEST = 8
"""Nesting at which making up stops, so that a schema that refers to itself ends."""

FORMATS: Mapping[str, str] = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
}


class Schema(Struct, frozen=True, kw_only=True):
    """The part of a JSON schema that is followed."""

    type: str | list[str] = ""
    properties: "dict[str, Schema]" = {}
    required: list[str] = []
    items: "Schema | None" = None
    min_items: int = field(name="minItems", default=0)
    min_length: int = field(name="minLength", default=0)
    minimum: float | None = None
    exclusive_minimum: float | None = field(name="exclusiveMinimum", default=None)
    maximum: float | None = None
    format: str = ""
    enum: list[Any] = []
    examples: list[Any] = []
    const: Any = UNSET
    default: Any = UNSET
    any_of: "list[Schema]" = field(name="anyOf", default=[])
    one_of: "list[Schema]" = field(name="oneOf", default=[])
    all_of: "list[Schema]" = field(name="allOf", default=[])
    ref: str = field(name="$ref", default="")
    defs: "dict[str, Schema]" = field(name="$defs", default={})

    @property
    def given(self) -> list[Any]:
        """Values the schema itself names."""
        named = [value for value in (self.const, self.default) if value is not UNSET]
        return [*named, *self.enum, *self.examples]

    @property
    def kind(self) -> str:
        """The type to make; a schema without one is a string unless it has properties."""
        kinds = self.type if isinstance(self.type, list) else [self.type]
        return next((kind for kind in kinds if kind), "object" if self.properties else "string")


def arguments_for(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Make up arguments that fit an `input_schema`: its required properties, and no others."""
    try:
        root = msgspec.convert(schema, Schema)
    except msgspec.ValidationError:
        return {}
    made: dict[str, Any] | None = _make(root, root, 0)
    return made if isinstance(made, dict) else {}


def _make(schema: Schema, root: Schema, depth: int) -> Any:
    if depth > DEEPEST:
        return None
    if schema.given:
        return schema.given[0]
    if inner := _inner(schema, root):
        return _make(inner, root, depth + 1)
    return _MAKERS.get(schema.kind, _make_nothing)(schema, root, depth)


def _inner(schema: Schema, root: Schema) -> Schema | None:
    referred = root.defs.get(schema.ref.removeprefix("#/$defs/"))
    return next(iter([*filter(None, [referred]), *schema.any_of, *schema.one_of, *schema.all_of]), None)


def _make_object(schema: Schema, root: Schema, depth: int) -> dict[str, Any]:
    wanted = [name for name in schema.required if name in schema.properties]
    return {name: _make(schema.properties[name], root, depth + 1) for name in wanted}


def _make_array(schema: Schema, root: Schema, depth: int) -> list[Any]:
    items = schema.items or Schema()
    return [_make(items, root, depth + 1) for _ in range(min(schema.min_items, DEEPEST))]


def _make_string(schema: Schema, _root: Schema, _depth: int) -> str:
    return FORMATS.get(schema.format, "example").ljust(min(schema.min_length, 1_000), "e")


def _make_number(schema: Schema, _root: Schema, _depth: int) -> int:
    least = schema.minimum if schema.minimum is not None else 1
    above = schema.exclusive_minimum + 1 if schema.exclusive_minimum is not None else least
    return int(min(max(least, above), schema.maximum if schema.maximum is not None else above))


def _make_boolean(_schema: Schema, _root: Schema, _depth: int) -> bool:
    return True


def _make_nothing(_schema: Schema, _root: Schema, _depth: int) -> None:
    return None


_MAKERS: Mapping[str, Callable[[Schema, Schema, int], Any]] = {
    "object": _make_object,
    "array": _make_array,
    "string": _make_string,
    "integer": _make_number,
    "number": _make_number,
    "boolean": _make_boolean,
}
