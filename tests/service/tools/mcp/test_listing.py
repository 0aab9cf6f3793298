"""What a server lists, made into tools: named, allowed, and as careful as it does not say otherwise."""

from types import SimpleNamespace

import pytest

from service.tools.mcp.file import Override, Server
from service.tools.mcp.listing import DEFINITIONS, Listed, differences, printable, sift, take

SCHEMA = {"type": "object", "properties": {"a": {"type": "string", "description": "a\u202eb\x1b"}}}


def foreign(name="read", *, schema=SCHEMA, description="", title=None, **hints) -> SimpleNamespace:
    marks = SimpleNamespace(**{"read_only_hint": None, "destructive_hint": None, **hints}) if hints else None
    return SimpleNamespace(
        name=name, input_schema=schema, description=description, title=title, annotations=marks
    )


async def nothing(name, arguments, errand) -> str:
    return f"{name}{arguments}{errand}"


def taken(*listed, **server):
    return take(Server(name="s", **server), Listed(tools=listed), nothing)


def one(*listed, **server):
    (tool,) = taken(*listed, **server).tools
    return tool


@pytest.mark.parametrize(
    ("hints", "careful"),
    [
        ({}, True),
        ({"read_only_hint": False}, True),
        ({"read_only_hint": True}, False),
        ({"read_only_hint": True, "destructive_hint": True}, True),
        ({"destructive_hint": False}, True),
    ],
)
def test_a_tool_that_does_not_say_that_it_reads_has_effects_and_needs_a_yes(hints, careful):
    tool = one(foreign(**hints))
    assert (tool.effects, tool.approval) == (careful, careful)


def test_the_operator_has_the_last_word():
    said = Override(roles=frozenset({"CFO"}), approval=False, effects=False, seconds=2.5, limit=7)
    tool = one(foreign(), roles=frozenset({"AUDITOR"}), approval=True, overrides={"read": said})
    assert (tool.roles, tool.approval, tool.effects) == ({"CFO"}, False, False)
    assert (tool.seconds, tool.limit) == (2.5, 7)


def test_what_holds_for_a_server_holds_for_its_tools():
    tool = one(foreign(read_only_hint=True), roles=frozenset({"AUDITOR"}), approval=True, seconds=3.0)
    assert (tool.roles, tool.approval, tool.effects) == ({"AUDITOR"}, True, False)
    assert (tool.seconds, tool.limit, tool.source) == (3.0, None, "s")


def test_only_the_tools_that_are_named_are_taken_and_the_others_are_no_fault():
    found = taken(foreign("a"), foreign("b"), foreign("c"), tools=frozenset({"b", "z"}))
    assert [tool.name for tool in found.tools] == ["s__b"]
    assert found.refused == ()


def test_a_title_stands_for_a_description_that_is_not_there():
    assert one(foreign(title="Reads")).description == "Reads"


def test_words_in_a_schema_are_printable_too():
    (told,) = one(foreign()).definition()["input_schema"]["properties"].values()
    assert told["description"] == "a b "


def test_tools_are_taken_until_their_definitions_are_too_large_together():
    large = {"type": "object", "properties": {"a": {"enum": ["x" * 60_000]}}}
    found = taken(*(foreign(f"t{number}", schema=large) for number in range(6)))
    assert len(found.tools) == 4
    assert found.refused[0] == ("t4", f"the tools of its server are larger than {DEFINITIONS} bytes together")


def test_what_is_no_tool_is_taken_out_of_a_list_before_anybody_reads_it():
    right = {"name": "a", "inputSchema": {"type": "object"}}
    result = {"tools": [right, 7, {"name": 7}, {"name": "b"}, {"name": "c", "inputSchema": {"type": "x"}}]}
    assert sift(result) == [
        ("?", "it has no name"),
        ("?", "it has no name"),
        ("b", "the schema is not of an object"),
        ("c", "the schema is not of an object"),
    ]
    assert result == {"tools": [right]}
    assert sift({"tools": "none"}) == []


def test_differences_are_told_by_name():
    before = taken(foreign("same"), foreign("gone"), foreign("other")).tools
    after = taken(foreign("same"), foreign("other", description="now"), foreign("new")).tools
    assert differences(before, after) == {
        "added": ["s__new"],
        "removed": ["s__gone"],
        "changed": ["s__other"],
    }


@pytest.mark.parametrize(
    ("text", "clean"),
    [("a\nb", "a\nb"), ("a\tb\x00c", "a b c"), ("\U000e0041\u200b", "  "), ("x" * 11, "x" * 9 + "…")],
)
def test_words_of_strangers_are_printable_and_bounded(text, clean):
    assert printable(text, 10) == clean
