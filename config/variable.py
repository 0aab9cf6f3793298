"""What a setting says of itself, and how to walk over all of them.

Refuses a setting without a variable: a field of a group is a group or carries a `Variable`.
"""

from collections.abc import Iterator
from typing import Any, get_args

import msgspec
from msgspec import Struct

from config.form import Form


class Variable(Struct, frozen=True):
    """The environment variable of one setting: its name, one line of why, and the form of its text."""

    name: str
    why: str
    form: Form[Any]


class Place(Struct, frozen=True, kw_only=True):
    """One setting within its group; `title` is the first line of the group's docstring."""

    variable: Variable
    title: str
    value: Any


def walk(group: Struct) -> Iterator[Place]:
    """Go over every setting of a group and of the groups within it, in the order of the page."""
    for field in msgspec.structs.fields(group):
        value = getattr(group, field.name)
        if isinstance(value, Struct):
            yield from walk(value)
        else:
            yield Place(variable=variable_of(field.type), title=_title(group), value=value)


def build(group: Struct, values: dict[str, Any]) -> Any:
    """Copy a group with other values, by the name of their variable."""
    changes = {field.name: _changed(group, field, values) for field in msgspec.structs.fields(group)}
    return msgspec.structs.replace(group, **changes)


def variable_of(hint: Any) -> Variable:
    """Find what an annotation says of its setting."""
    return next(part for part in get_args(hint) if isinstance(part, Variable))


def _changed(group: Struct, field: msgspec.structs.FieldInfo, values: dict[str, Any]) -> Any:
    value = getattr(group, field.name)
    if isinstance(value, Struct):
        return build(value, values)
    return values.get(variable_of(field.type).name, value)


def _title(group: Struct) -> str:
    return (group.__doc__ or "").partition("\n")[0].rstrip(".")
