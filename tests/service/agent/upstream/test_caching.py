"""Where the breakpoints of the prompt cache go, and that nothing but them is new."""

import copy

import pytest
from msgspec import structs

from service.agent.model import Prompt
from service.agent.upstream.abilities import MODELS
from service.agent.upstream.caching import arguments, counted

TOOLS = ({"name": "a", "description": "x" * 40}, {"name": "b", "description": "y" * 40})
LONG = "word " * 1_000
EPHEMERAL = {"type": "ephemeral"}


def prompt(*messages, system=LONG, model="claude-sonnet-5-5", tools=TOOLS):
    asked = messages or (user("hello"),)
    return Prompt(model=model, system=system, messages=asked, tools=tools, max_tokens=100)


def user(content):
    return {"role": "user", "content": content}


def said(*texts):
    return {"role": "assistant", "content": [{"type": "text", "text": text} for text in texts]}


def marks(given):
    """Where a breakpoint stands: the part, and the message's place and its block's."""
    found = [("tools", at, each["cache_control"]) for at, each in enumerate(given.get("tools", ()))
             if "cache_control" in each]  # fmt: skip
    system = given.get("system", "")
    blocks = system if isinstance(system, list) else []
    found += [
        ("system", at, each["cache_control"]) for at, each in enumerate(blocks) if "cache_control" in each
    ]
    for at, message in enumerate(given["messages"]):
        blocks = message["content"] if isinstance(message["content"], list) else []
        found += [
            (at, place, each["cache_control"]) for place, each in enumerate(blocks) if "cache_control" in each
        ]
    return found


def places(given):
    return [(part, at) for part, at, _ in marks(given)]


def without_marks(value):
    if isinstance(value, dict):
        return {key: without_marks(each) for key, each in value.items() if key != "cache_control"}
    return [without_marks(each) for each in value] if isinstance(value, list) else value


def as_blocks(given):
    """The same request with every text as the block that it is short for."""
    given = copy.deepcopy(given)
    if isinstance(given.get("system"), str):
        given["system"] = [{"type": "text", "text": given["system"]}]
    for message in given["messages"]:
        if isinstance(message["content"], str):
            message["content"] = [{"type": "text", "text": message["content"]}]
    return given


def test_off_is_the_plain_request():
    given = arguments(prompt())
    assert marks(given) == []
    assert (given["system"], given["messages"]) == (LONG, [user("hello")])


def test_the_first_turn_marks_what_all_turns_share_and_the_question():
    assert places(arguments(prompt(), "5m")) == [("system", 0), (0, 0)]


def test_a_later_turn_marks_the_question_before_as_well():
    asked = prompt(user("one"), said("1"), user("two"), said("2"), user("three"))
    assert places(arguments(asked, "5m")) == [("system", 0), (2, 0), (4, 0)]


def test_tool_results_are_marked_at_the_last_of_them():
    results = [{"type": "tool_result", "tool_use_id": name, "content": "1"} for name in "abc"]
    asked = prompt(user("one"), said("1"), user(results))
    assert places(arguments(asked, "5m")) == [("system", 0), (0, 0), (2, 2)]


def test_without_a_system_prompt_the_last_tool_is_marked():
    tools = ({"name": "a", "description": LONG}, {"name": "b"})
    assert places(arguments(prompt(system="", tools=tools), "5m"))[0] == ("tools", 1)


@pytest.mark.parametrize(("ttl", "mark"), [("5m", EPHEMERAL), ("1h", EPHEMERAL | {"ttl": "1h"})])
def test_each_mark_says_how_long(ttl, mark):
    assert [each for _, _, each in marks(arguments(prompt(), ttl))] == [mark, mark]


def test_nothing_but_the_marks_is_new():
    asked = prompt(user("one"), said("1", "and"), user("two"))
    plain, kept = arguments(asked), arguments(asked, "1h")
    assert without_marks(as_blocks(kept)) == as_blocks(plain)
    assert places(arguments(asked)) == []


def test_what_is_asked_is_not_changed():
    asked = prompt(user([{"type": "text", "text": "one"}]), said("1"), user("two"))
    before = copy.deepcopy(asked.messages)
    arguments(asked, "5m")
    assert asked.messages == before


@pytest.mark.parametrize("model", sorted(MODELS))
def test_below_what_the_cache_keeps_there_is_no_mark(model):
    least = MODELS[model].cache_least
    short = prompt(user("x" * least), system="y", tools=(), model=model)
    assert places(arguments(short, "5m")) == []
    assert places(arguments(structs.replace(short, messages=(user("x" * 2 * least),)), "5m")) == [(0, 0)]


def test_the_mark_goes_where_the_prompt_has_become_long_enough():
    asked = prompt(user("short"), said("x"), user(LONG), system="y", tools=())
    assert places(arguments(asked, "5m")) == [(2, 0)]


@pytest.mark.parametrize("rounds", range(1, 12))
def test_there_are_four_at_most(rounds):
    messages = [each for turn in range(rounds) for each in (user(f"{turn}"), said("yes"))]
    assert len(marks(arguments(prompt(*messages, user("last")), "5m"))) <= 4


def test_a_dated_snapshot_is_its_model():
    asked = prompt(user("x" * 1_200), system="y", tools=(), model="claude-opus-5-5-20260923")
    assert places(arguments(asked, "5m")) == [(0, 0)]


def test_what_is_counted_is_what_is_sent():
    sent = arguments(prompt())
    assert {name: sent[name] for name in ("tools", "system", "messages")} == counted(prompt())
