"""Arguments by a JSON schema that somebody else wrote: looked through once, kept to at every call.

Refuses what is no schema, is too large or too deep, looks elsewhere, or that no model's API would take: one
tool with such a schema would fail every question. Refuses to let it cost more than a bounded number of steps.
"""

import re
from collections.abc import Generator, Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from typing import Any, cast
from urllib.parse import unquote

import msgspec
from msgspec import Struct

BYTES = 65_536
DEEPEST = 32
"""How deep objects and lists may stand in each other, in a schema and in arguments."""

REFERENCES = 2_000
"""How often one look at arguments may follow a `$ref`: a schema that doubles itself asks for endless ones."""

DIALECTS = frozenset(
    {
        "https://json-schema.org/draft/2020-12/schema",
        "http://json-schema.org/draft-07/schema#",
        "http://json-schema.org/draft-07/schema",
    }
)
"""What `$schema` may say; all are read as Draft 2020-12, of which what tools use is the same."""

LOOKING = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
MOVING = frozenset({"$id", "$anchor", "$dynamicAnchor", "$vocabulary"})
"""Words that change what a reference means; nobody needs them in a tool's arguments."""

COMBINING = ("oneOf", "anyOf", "allOf")
"""The Messages API refuses them at the top of a tool's schema, and with them the whole request."""

PROPERTY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
"""What the Messages API takes as the name of a property at the top."""

OPTIONS = 200_000
"""How many options of a choice one look may try: long lists of long choices ask for endless ones."""

_left: ContextVar[int] = ContextVar("references_left")
_options: ContextVar[int] = ContextVar("options_left")


class Unfit(ValueError):
    """Something does not fit; its words are one bounded sentence without a full stop.

    `where` is the place and the rule that is not kept, without anything of what does not keep it.
    """

    def __init__(self, words: str, where: str = "") -> None:
        super().__init__(words)
        self.where = where


class Schema(Struct, frozen=True, kw_only=True):
    """The schema of a tool's arguments; made by `read`, so that what there is was looked through."""

    document: Mapping[str, Any]

    def describe(self) -> dict[str, Any]:
        """The schema as the model is told it."""
        return dict(self.document)

    def decode(
        self, arguments: object, largest: int = BYTES, references: int = REFERENCES
    ) -> Mapping[str, Any]:
        """The arguments themselves, of so many bytes at most, by so many references followed.

        Raises:
            Unfit: they do not fit; what is wrong, and where.
        """
        _measure(arguments, "the arguments are", largest)
        token, other = _left.set(references), _options.set(OPTIONS)
        try:
            error = next(_validator()(self.document, registry=_nothing()).iter_errors(arguments), None)
        except RecursionError:
            raise Unfit("the schema goes round in a circle") from None
        finally:
            _left.reset(token)
            _options.reset(other)
        if error is not None:
            raise Unfit(_told(error), f"{_place(error)} by its `{error.validator}`")
        return cast("Mapping[str, Any]", arguments)


def read(document: object) -> Schema:
    """Look through a schema that came from elsewhere.

    Raises:
        Unfit: it is none that could be used, and why.
    """
    if not isinstance(document, dict):
        raise Unfit("the schema is no object")
    schema = cast("dict[str, Any]", document)
    _measure(schema, "the schema is")
    for each in _objects(schema):
        _check_closed(each, schema)
    _check_top(schema)
    _check_form(schema)
    # a dialect that is named says nothing to a model, and the API need not know it
    return Schema(document={name: part for name, part in schema.items() if name != "$schema"})


def _measure(value: object, said: str, largest: int = BYTES) -> None:
    try:
        size = len(msgspec.json.encode(value))
    except (TypeError, ValueError, RecursionError):
        raise Unfit(f"{said} no JSON") from None
    if size > largest:
        raise Unfit(f"{said} larger than {largest} bytes")
    if _depth(value) > DEEPEST:
        raise Unfit(f"{said} more than {DEEPEST} deep")


def _depth(value: object) -> int:
    """How deep it is, found level by level: recursion would end before a deep value does."""
    level: list[object] = [value]
    depth = 0
    while level and depth <= DEEPEST:
        level = [part for each in level for part in _parts(each)]
        depth += 1
    return depth


def _parts(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from cast("dict[str, object]", value).values()
    elif isinstance(value, list):
        yield from cast("list[object]", value)


def _objects(value: object) -> Iterator[Mapping[str, Any]]:
    found = cast("dict[str, Any]", value) if isinstance(value, dict) else None
    if found is not None:
        yield found
    for part in _parts(cast("object", value)):
        yield from _objects(part)


def _check_closed(part: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Also of what only looks like a reference, an example say: to tell them apart gains nobody anything."""
    for word in LOOKING & part.keys():
        if isinstance(part[word], str) and not part[word].startswith("#"):
            raise Unfit("the schema refers to something elsewhere")
        if isinstance(part[word], str) and not _leads(schema, part[word][1:]):
            raise Unfit("the schema refers to something that is not in it")
    for word in MOVING & part.keys():
        if isinstance(part[word], str):
            raise Unfit(f"the schema uses {word}")


def _leads(schema: Mapping[str, Any], pointer: str) -> bool:
    """Whether a JSON pointer (RFC 6901) leads to a part of it that can be a schema."""
    return isinstance(find(schema, f"#{pointer}"), dict | bool) and (not pointer or pointer.startswith("/"))


def find(schema: Mapping[str, Any], reference: str) -> Any:
    """The part that a reference within a schema leads to; None where there is none."""
    part: Any = schema
    pointer = unquote(reference[1:])
    for step in pointer.split("/")[1:] if pointer else ():
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(part, list) and re.fullmatch("0|[1-9][0-9]{0,5}", name):
            listed = cast("list[Any]", part)
            part = listed[int(name)] if int(name) < len(listed) else None
        else:
            part = cast("dict[str, Any]", part).get(name) if isinstance(part, dict) else None
    return part


def _check_top(schema: Mapping[str, Any]) -> None:
    if schema.get("type") != "object":
        raise Unfit("the schema is not of an object")
    if schema.get("$schema", next(iter(DIALECTS))) not in DIALECTS:
        raise Unfit("the schema is of another dialect than JSON Schema 2020-12")
    if found := [word for word in COMBINING if word in schema]:
        raise Unfit(f"the schema has {found[0]} at its top")
    properties = schema.get("properties", {})
    if isinstance(properties, dict) and not all(map(PROPERTY.fullmatch, cast("dict[str, Any]", properties))):
        raise Unfit("the name of a property has other characters than letters, digits, _, . and -")


def _check_form(schema: Mapping[str, Any]) -> None:
    from jsonschema import SchemaError  # noqa: PLC0415 - 0.1 s that only those spend who need it

    form = {name: part for name, part in schema.items() if name != "$schema"}
    try:
        _validator().check_schema(form)
    except SchemaError as error:
        raise Unfit(f"the schema is none: {_told(error)}") from None
    except RecursionError:
        raise Unfit("the schema is too deep") from None


@cache
def _validator() -> Any:
    """Draft 2020-12, but that a pattern of a stranger is never run and references are counted.

    A pattern can hold the process for hours by a short text; whoever wrote it checks it anyway.
    """
    from jsonschema import validators  # noqa: PLC0415 - 0.1 s that only those spend who need it

    draft: Any = validators.Draft202012Validator
    extend: Any = getattr(validators, "extend")  # noqa: B009 - half typed
    return extend(
        draft,
        {
            "$ref": _counted(draft.VALIDATORS["$ref"]),
            "$dynamicRef": _counted(draft.VALIDATORS["$dynamicRef"]),
            **{word: _weighed(draft.VALIDATORS[word]) for word in COMBINING},
            "pattern": _passed,
            "patternProperties": _passed,
            "unevaluatedProperties": _passed,
            "additionalProperties": _unless_patterns(draft.VALIDATORS["additionalProperties"]),
        },
    )


def _counted(follow: Any) -> Any:
    def counted(validator: Any, reference: Any, instance: Any, schema: Any) -> Generator[Any]:
        left = _left.get(REFERENCES)
        if not left:
            raise Unfit("the schema refers to itself too often")
        _left.set(left - 1)
        yield from follow(validator, reference, instance, schema) or ()

    return counted


def _weighed(choose: Any) -> Any:
    def weighed(validator: Any, options: Any, instance: Any, schema: Any) -> Generator[Any]:
        left = _options.get(OPTIONS) - len(options)
        if left < 0:
            raise Unfit("the schema has too many options to try")
        _options.set(left)
        yield from choose(validator, options, instance, schema) or ()

    return weighed


def _passed(validator: Any, value: Any, instance: Any, schema: Any) -> None:
    del validator, value, instance, schema


def _unless_patterns(check: Any) -> Any:
    def checked(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        return None if "patternProperties" in schema else check(validator, value, instance, schema)

    return checked


@cache
def _nothing() -> Any:
    """Where references may lead besides the schema itself: nowhere, and never to the network."""
    from referencing.jsonschema import EMPTY_REGISTRY  # noqa: PLC0415 - as above

    return EMPTY_REGISTRY


def _told(error: Any) -> str:
    return _printable(f"{error.message} at {_place(error)}" if error.absolute_path else error.message)


def _place(error: Any) -> str:
    """Where in a value: `$` for the whole."""
    where = "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in error.absolute_path)
    return _printable(f"${where}")


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text[:200])
