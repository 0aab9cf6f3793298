import asyncio
from types import MappingProxyType
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from service.errors import ToolBroken, ToolFailed, ToolForbidden, ToolUnknown
from service.tools import Errand, Registry, Tool
from service.tools.offer import RESULT_CHARACTERS
from tests.harness.tools import ERRAND, built_in, offered, run

SECRET = "postgres://user:hunter2@db/prod"


class Arguments(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    text: Annotated[str, Meta(max_length=50_000)]
    mood: Literal["calm", "angry"] = "calm"
    count: Annotated[int, Meta(ge=0)] = 1


async def repeat(arguments: Arguments, errand: Errand) -> str:
    assert errand == ERRAND
    return arguments.text * arguments.count


def tool(work: Any = repeat, name: str = "echo", **changes: Any) -> Tool:
    about = {"description": "Says it again.", **changes}
    return Tool(name=name, arguments=Arguments, run=work, **about)


async def told(registry: Registry, name: str, arguments: object, kind: type[ToolFailed] = ToolFailed) -> str:
    with pytest.raises(kind) as caught:
        await run(registry, name, arguments)
    assert type(caught.value) is kind
    return caught.value.detail


async def test_it_runs_a_tool_by_name():
    assert await run(Registry((tool(),)), "echo", {"text": "ab", "count": 2}) == "abab"


async def test_any_mapping_will_do():
    assert await run(Registry((tool(),)), "echo", MappingProxyType({"text": "ab"})) == "ab"


def test_definitions_stand_in_the_order_given():
    registry = Registry((tool(name="b"), tool(name="a")))
    assert [definition["name"] for definition in offered(registry).definitions] == ["b", "a"]
    assert offered(registry).definitions[0]["description"] == "Says it again."
    assert set(offered(registry).definitions[0]) == {"name", "description", "input_schema"}


@pytest.mark.parametrize("name", ["", "nope", "Echo", "echo ", "../echo", "\ud800", SECRET])
async def test_an_unknown_tool_is_not_repeated_to_the_model(name):
    assert (
        await told(Registry((tool(),)), name, {"text": "a"}, ToolUnknown)
        == "There is no such tool. There are: echo."
    )


async def test_without_tools_there_is_none():
    assert await told(Registry(), "echo", {}, ToolUnknown) == "There is no such tool. There are: none."


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "missing required field `text`"),
        ({"text": 1}, "Expected `str`, got `int` - at `$.text`"),
        ({"text": None}, "Expected `str`, got `null` - at `$.text`"),
        ({"text": "a", "more": 1}, "unknown field `more`"),
        ({"text": "a", "mood": "sad"}, "Invalid enum value"),
        ({"text": "a", "count": -1}, "Expected `int` >= 0 - at `$.count`"),
        ({"text": "a", "count": "1"}, "Expected `int`, got `str`"),
        ({"text": "a", "count": 1.5}, "Expected `int`, got `float`"),
        ({"text": "a", "count": True}, "Expected `int`, got `bool`"),
        ({"text": "x" * 50_001}, "of length <= 50000"),
        ({1: 2}, "Expected `str`"),
        ([], "Expected `object`, got `array`"),
        ("{}", "Expected `object`, got `str`"),
        (None, "Expected `object`, got `null`"),
        (7, "Expected `object`, got `int`"),
    ],
)
async def test_arguments_that_do_not_fit_are_named(arguments, problem):
    sentence = await told(Registry((tool(),)), "echo", arguments)
    assert sentence.startswith("The arguments of echo do not fit: ")
    assert problem in sentence


async def test_a_problem_is_told_in_one_short_printable_line():
    sentence = await told(Registry((tool(),)), "echo", {"text": "a", "\x1b[31m\n\u2028" + "x" * 9_999: 1})
    assert sentence.isprintable()
    assert len(sentence) < 300


@pytest.mark.parametrize(
    "error", [RuntimeError(SECRET), KeyError(SECRET), TimeoutError(SECRET), ExceptionGroup("", [OSError()])]
)
async def test_a_tools_own_exception_stays_inside(error):
    async def fail(_: Arguments, __: Errand) -> str:
        raise error

    registry = Registry((tool(fail),))
    with pytest.raises(ToolBroken) as caught:
        await run(registry, "echo", {"text": "a"})
    assert caught.value.detail == "The tool echo failed by itself; other arguments may not help."
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is error


async def test_what_a_tool_says_on_purpose_is_passed_on():
    async def refuse(_: Arguments, __: Errand) -> str:
        raise ToolFailed("Not today.")

    assert await told(Registry((tool(refuse),)), "echo", {"text": "a"}) == "Not today."


@pytest.mark.parametrize("result", [None, 7, b"bytes", {"a": 1}])
async def test_a_result_that_is_no_text_is_the_tools_fault(result):
    async def give(_: Arguments, __: Errand) -> Any:
        return result

    await told(Registry((tool(give),)), "echo", {"text": "a"}, ToolBroken)


async def test_a_tool_that_takes_too_long_is_stopped():
    stopped = asyncio.Event()

    async def sleep(_: Arguments, __: Errand) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return "never"

    registry = Registry((tool(sleep, seconds=0.01),))
    assert (
        await told(registry, "echo", {"text": "a"}, ToolBroken)
        == "The tool echo took longer than 0.01 seconds."
    )
    assert stopped.is_set()


def test_a_tool_has_ten_seconds():
    assert tool().seconds == 10


async def test_a_turn_that_is_cancelled_is_not_a_tool_that_failed():
    began = asyncio.Event()

    async def sleep(_: Arguments, __: Errand) -> str:
        began.set()
        await asyncio.Event().wait()
        return "never"

    running = asyncio.create_task(run(Registry((tool(sleep),)), "echo", {"text": "a"}))
    await began.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_result_as_long_as_allowed_is_whole():
    text = "x" * RESULT_CHARACTERS
    assert await run(Registry((tool(),)), "echo", {"text": text}) == text


async def test_a_longer_result_is_cut_and_says_so():
    text = await run(Registry((tool(),)), "echo", {"text": "x" * (RESULT_CHARACTERS + 1)})
    assert len(text) == RESULT_CHARACTERS
    assert text.endswith("x\n[cut here; the whole result has 10001 characters]")


async def test_a_result_can_always_be_sent():
    text = await run(Registry((tool(),)), "echo", {"text": "a\ud800b"})
    assert text.encode("utf-8") == b"a?b"


def test_two_tools_of_one_name_are_refused():
    with pytest.raises(ValueError, match="two tools named 'echo'"):
        Registry((tool(), tool()))


@pytest.mark.parametrize("name", ["", "a b", "a.b", "x" * 65, "é", "a\n"])
def test_a_name_the_api_would_not_take_is_refused(name):
    with pytest.raises(ValueError, match="1 to 64"):
        Registry((tool(name=name),))


async def test_a_tool_that_is_not_for_the_role_is_not_offered_and_not_run():
    registry = Registry((tool(name="open"), tool(name="shut", roles=frozenset({"AUDITOR"}))))
    assert [each["name"] for each in offered(registry).definitions] == ["open"]
    sentence = await told(registry, "shut", {"text": "a"}, ToolForbidden)
    assert sentence == "The tool shut is not for this user's role."
    assert await told(registry, "none", {}, ToolUnknown) == "There is no such tool. There are: open."
    assert await offered(registry, "AUDITOR").run("shut", {"text": "a"}, ERRAND) == "a"


def test_tools_of_a_source_come_and_go_and_replace_none():
    there = [tool(name="a", description="another a"), tool(name="c")]
    registry = Registry((tool(name="a"), tool(name="b")), (lambda: there,))
    before = offered(registry)
    assert [each["name"] for each in before.definitions] == ["a", "b", "c"]
    assert before.definitions[0]["description"] == "Says it again."
    there.clear()
    assert [each["name"] for each in offered(registry).definitions] == ["a", "b"]
    assert len(before.definitions) == 3


async def test_the_built_in_tools():
    registry = built_in()
    assert [definition["name"] for definition in offered(registry).definitions] == [
        "calculate",
        "current_time",
    ]
    assert await run(registry, "calculate", {"expression": "6 * 7"}) == "42"
    assert "UTC" in await run(registry, "current_time", {})


def test_an_offer_of_what_is_the_same_is_the_same_one_narrowed_or_not():
    there = [tool(name="c")]
    registry = Registry((tool(name="a"),), (lambda: there,), roles={"c": ["CFO"]})
    first = offered(registry, "CFO")
    assert offered(registry, "CFO") is first
    there[0] = tool(name="c")
    assert offered(registry, "CFO") is not first
