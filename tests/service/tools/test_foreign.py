"""Schemas that others wrote: what is taken, what is refused and why, and what a look may cost."""

import pytest

from service.errors import ToolFailed
from service.tools import Registry, Tool
from service.tools.foreign import DEEPEST, Unfit, read
from tests.harness.tools import run

NUMBER = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 3}, "like": {"$ref": "#/$defs/word"}},
    "required": ["n"],
    "additionalProperties": False,
    "$defs": {"word": {"type": "string", "pattern": "^(a+)+$"}},
}


def nested(depth):
    schema = {"type": "object"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"in": schema}}
    return schema


REFUSED = {
    "no object": ([], "the schema is no object"),
    "another type": ({"type": "string"}, "the schema is not of an object"),
    "no type": ({"properties": {}}, "the schema is not of an object"),
    "a url": (
        {"type": "object", "properties": {"a": {"$ref": "https://evil.example/s"}}},
        "the schema refers to something elsewhere",
    ),
    "a file": (
        {"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}},
        "the schema refers to something elsewhere",
    ),
    "a moved base": (
        {"type": "object", "properties": {"a": {"$id": "https://x/", "$ref": "#/a"}}},
        "the schema refers to something that is not in it",
    ),
    "an id": ({"type": "object", "$id": "https://evil.example/s"}, "the schema uses $id"),
    "nowhere": (
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}},
        "the schema refers to something that is not in it",
    ),
    "a choice at the top": ({"type": "object", "oneOf": [{}]}, "the schema has oneOf at its top"),
    "another dialect": (
        {"type": "object", "$schema": "http://json-schema.org/draft-03/schema#"},
        "the schema is of another dialect than JSON Schema 2020-12",
    ),
    "a strange property": (
        {"type": "object", "properties": {"a b": {}}},
        "the name of a property has other characters than letters, digits, _, . and -",
    ),
    "no schema": (
        {"type": "object", "properties": {"a": {"type": "text"}}},
        "the schema is none: 'text' is not valid under any of the given schemas at $.properties.a.type",
    ),
    "too large": ({"type": "object", "title": "x" * 70_000}, "the schema is larger than 65536 bytes"),
    "too deep": (nested(DEEPEST), f"the schema is more than {DEEPEST} deep"),
    "far too deep": (nested(20_000), "the schema is no JSON"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_schema_that_cannot_be_used_is_refused_with_the_reason(case):
    document, why = REFUSED[case]
    with pytest.raises(Unfit) as refused:
        read(document)
    assert str(refused.value) == why


def test_the_model_is_told_the_schema_as_it_is_but_for_its_dialect():
    told = read(NUMBER).describe()
    assert told == {name: part for name, part in NUMBER.items() if name != "$schema"}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "'n' is a required property"),
        ({"n": 1}, "1 is less than the minimum of 3 at $.n"),
        ({"n": 3, "m": 1}, "Additional properties are not allowed ('m' was unexpected)"),
        ({"n": 3, "like": 1}, "1 is not of type 'string' at $.like"),
        ([], "[] is not of type 'object'"),
    ],
)
def test_arguments_that_do_not_fit_say_where(arguments, why):
    with pytest.raises(Unfit) as refused:
        read(NUMBER).decode(arguments)
    assert str(refused.value) == why


def test_a_pattern_of_a_stranger_is_never_run():
    # (a+)+$ over this text takes longer than the universe has
    arguments = {"n": 3, "like": "a" * 60 + "!"}
    assert read(NUMBER).decode(arguments) == arguments
    free = read(
        {"type": "object", "patternProperties": {"^(a+)+$": {"type": "null"}}, "additionalProperties": False}
    )
    assert free.decode({"a" * 60 + "!": 1})


def test_a_schema_that_doubles_itself_ends():
    doubled = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(64)}
    bomb = {"type": "object", "properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": {**doubled, "d64": {}}}
    with pytest.raises(Unfit, match=r"^the schema refers to itself too often$"):
        read(bomb).decode({"a": 1})


def test_a_schema_that_goes_in_a_circle_ends():
    circle = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/a"}},
        "$defs": {"a": {"$ref": "#/$defs/a"}},
    }
    with pytest.raises(Unfit):
        read(circle).decode({"a": 1})


def test_a_schema_may_hold_itself():
    tree = read({"type": "object", "properties": {"in": {"$ref": "#"}}, "additionalProperties": False})
    assert tree.decode({"in": {"in": {}}}) == {"in": {"in": {}}}
    with pytest.raises(Unfit, match=r"at \$\.in\.in$"):
        tree.decode({"in": {"in": {"out": 1}}})


def test_deep_arguments_are_refused():
    deep = read({"type": "object"})
    with pytest.raises(Unfit, match=r"^the arguments are more than 32 deep$"):
        deep.decode(nested(DEEPEST))


async def test_a_tool_with_such_a_schema_gets_what_fits_and_nothing_else():
    async def double(arguments, errand):
        del errand
        return str(arguments["n"] * 2)

    tools = Registry([Tool(name="double", description="", arguments=read(NUMBER), run=double)])
    assert await run(tools, "double", {"n": 4}) == "8"
    with pytest.raises(ToolFailed) as failed:
        await run(tools, "double", {"n": 1})
    assert (
        failed.value.detail == "The arguments of double do not fit: 1 is less than the minimum of 3 at $.n."
    )
