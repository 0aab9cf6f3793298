"""A typed function becomes a tool: its schema, its words, how it is run, and what is refused."""

import asyncio
import threading
from typing import Annotated, Literal

import pytest
from msgspec import Meta, Struct

from service.errors import ToolBroken, ToolFailed
from service.tools import Errand, Registry, tool
from tests.harness.tools import CALLER, ERRAND, run


@tool()
async def look_up(
    name: Annotated[str, Meta(max_length=20)], errand: Errand, mood: Literal["calm", "angry"] = "calm"
) -> str:
    """Looks somebody up
    in the book.

    More that only people read.

    Args:
        name: Whom, by the
            family's name.
        errand: Never asked of the model.
        mood (str): How.

    Returns:
        name: no parameter.
    """
    return f"{errand.caller.user_id} looks for {name}, {mood}"


class Place(Struct, forbid_unknown_fields=True):
    city: Annotated[str, Meta(description="Where.")]
    days: int = 1


@tool(name="weather", roles=["CFO"], effects=True, approval=True, alone=False, seconds=2, limit=5)
def forecast(place: Place) -> dict[str, object]:
    """Tells the weather."""
    return {"city": place.city, "days": place.days, "thread": threading.current_thread().name}


def test_parameters_are_a_closed_schema_and_the_docstring_describes_them():
    assert look_up.definition() == {
        "name": "look_up",
        "description": "Looks somebody up in the book.",
        "input_schema": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "maxLength": 20, "description": "Whom, by the family's name."},
                "mood": {"enum": ["angry", "calm"], "default": "calm", "description": "How."},
            },
            "required": ["name"],
            "additionalProperties": False,
        },
    }


def test_one_struct_is_the_schema_itself():
    assert forecast.arguments is Place
    assert forecast.definition()["input_schema"]["properties"]["city"]["description"] == "Where."


def test_what_a_tool_says_of_itself():
    said = (forecast.name, forecast.roles, forecast.effects, forecast.approval, forecast.alone)
    assert said == ("weather", frozenset({"CFO"}), True, True, False)
    assert (forecast.seconds, forecast.limit, forecast.source) == (2, 5, "built_in")
    assert (look_up.roles, look_up.effects, look_up.approval, look_up.limit) == (None, False, False, None)


async def test_it_is_run_with_what_the_model_wrote_and_the_errand():
    assert await run(Registry([look_up]), "look_up", {"name": "Ann"}) == "ann looks for Ann, calm"
    with pytest.raises(ToolFailed, match="do not fit"):
        await run(Registry([look_up]), "look_up", {"name": "Ann", "errand": {}})


async def test_the_function_can_still_be_called():
    assert await look_up("Bob", ERRAND, mood="angry") == "ann looks for Bob, angry"
    assert forecast(Place(city="Bonn"))["city"] == "Bonn"


async def test_a_function_that_is_not_async_runs_in_a_thread_and_what_is_no_text_is_told_as_json():
    told = await run(Registry([forecast]), "weather", {"city": "Bonn", "days": 2})
    assert told.startswith('{"city":"Bonn","days":2,"thread":"')
    assert threading.current_thread().name not in told
    assert CALLER.role == "CFO"


async def test_a_thread_does_not_hold_up_the_loop_nor_the_turn():
    go_on = threading.Event()

    @tool(seconds=0.05)
    def block() -> str:
        """Waits."""
        go_on.wait(30)
        return "late"

    with pytest.raises(ToolBroken, match="longer than"):
        await run(Registry([block]), "block", {})
    go_on.set()
    await asyncio.sleep(0)


async def test_what_it_raises_is_its_own_sentence_or_none():
    @tool()
    def refuse(why: str) -> str:
        """Refuses."""
        raise (ToolFailed("Only on Mondays.") if why == "kindly" else KeyError("/secret"))

    with pytest.raises(ToolFailed, match=r"Only on Mondays\."):
        await run(Registry([refuse]), "refuse", {"why": "kindly"})
    with pytest.raises(ToolBroken) as caught:
        await run(Registry([refuse]), "refuse", {"why": "rudely"})
    assert "secret" not in caught.value.detail


def undocumented(x: int) -> int:
    return x


def untyped(x, y: int):
    """Adds."""
    return x + y


def spread(*x: int):
    """Adds."""
    return x


def positional(x: int, /):
    """Gives."""
    return x


def lost(x: "Nowhere") -> str:  # noqa: F821
    """Gives."""
    return x


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (undocumented, "needs a docstring"),
        (untyped, "does not say of what type x is"),
        (spread, "takes x in a way that has no name"),
        (positional, "takes x in a way that has no name"),
        (lost, "a type that cannot be found"),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_a_function_that_says_too_little_is_no_tool(function, sentence):
    with pytest.raises(ValueError, match=sentence):
        tool()(function)


def test_a_name_that_no_model_can_write_is_refused():
    with pytest.raises(ValueError, match="letters, digits"):
        tool(name="über")(forecast.function)
