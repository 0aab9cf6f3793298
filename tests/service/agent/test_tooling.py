"""How the tools of one round run: beside each other or alone, cancelled together, denied or approved."""

import asyncio

from msgspec import structs

from service.agent.events import ToolEnded, ToolStarted
from service.agent.model import ToolUse
from service.agent.upstream.scripted import ScriptedModel, say, use
from service.errors import ToolFailed
from service.tools import Registry, calculate
from telemetry.failure import Code
from telemetry.record import Outcome, ToolOutcome
from tests.harness.agent import FakeAsk, FakeTools, TurnHouse, hear_all
from tests.harness.sdk import traced

FOREVER = asyncio.Event


def wants(*names):
    return [ToolUse(f"c{number}", name, {"n": number}) for number, name in enumerate(names, 1)]


def results_of(model, round_=1):
    """What the model was told, without the tags that mark it as data."""
    told = [each["content"] for each in model.prompts[round_].messages[2 * round_]["content"]]
    return ["\n".join(each.split("\n")[1:-1]) if each.startswith("<tool_output ") else each for each in told]


class Meeting:
    """A tool that ends once as many of it run as are waited for; `most` is how many ran at one time."""

    def __init__(self, number):
        self._number, self._inside, self.most, self._all = number, 0, 0, asyncio.Event()

    async def __call__(self, arguments):
        self._inside += 1
        self.most = max(self.most, self._inside)
        if self._inside == self._number:
            self._all.set()
        await self._all.wait()
        await asyncio.sleep(0)
        self._inside -= 1
        return f"{arguments['n']}"


async def test_tools_of_one_round_run_beside_each_other_and_are_told_in_the_order_asked():
    second = asyncio.Event()

    async def slow(_):
        await second.wait()
        return "first"

    async def quick(_):
        second.set()
        return "second"

    model = ScriptedModel(use(*wants("slow", "quick")), say("done"))
    events, record = await TurnHouse(model, FakeTools(slow=slow, quick=quick)).whole()
    assert results_of(model) == ["first", "second"]
    told = [(type(each), each.name) for each in events if isinstance(each, ToolStarted | ToolEnded)]
    assert told == [(ToolStarted, "slow"), (ToolStarted, "quick"), (ToolEnded, "quick"), (ToolEnded, "slow")]
    assert [call.name for call in record.tool_calls] == ["slow", "quick"]


async def test_all_of_a_round_run_at_one_time():
    meeting = Meeting(7)
    model = ScriptedModel(use(*wants(*["meet"] * 7)), say("done"))
    _, record = await TurnHouse(model, FakeTools(meet=meeting)).whole()
    assert meeting.most == 7
    assert results_of(model) == [str(number) for number in range(1, 8)]
    assert [call.call_id for call in record.tool_calls] == [f"c{number}" for number in range(1, 8)]


async def test_a_tool_with_effects_runs_alone_and_in_its_place():
    steps, meeting = [], Meeting(2)

    async def change(arguments):
        steps.append(f"change {arguments['n']} begins")
        await asyncio.sleep(0.01)
        steps.append(f"change {arguments['n']} ends")
        return "changed"

    async def look(arguments):
        steps.append(f"look {arguments['n']}")
        return await meeting(arguments)

    tools = FakeTools(change=change, look=look)
    tools.facts["change"] = {"effects": True}
    model = ScriptedModel(use(*wants("look", "look", "change", "change", "look")), say("done"))
    _, record = await TurnHouse(model, tools).whole()
    both = ["change 3 begins", "change 3 ends", "change 4 begins", "change 4 ends"]
    assert steps == ["look 1", "look 2", *both, "look 5"]
    assert [call.call_id for call in record.tool_calls] == ["c1", "c2", "c3", "c4", "c5"]


async def test_a_tool_with_effects_may_say_that_it_bears_company():
    meeting = Meeting(2)
    tools = FakeTools(meet=meeting)
    tools.facts["meet"] = {"effects": True, "alone": False}
    await TurnHouse(ScriptedModel(use(*wants("meet", "meet")), say("done")), tools).whole()
    assert meeting.most == 2


async def test_one_that_fails_fails_alone():
    async def fail(_):
        raise ToolFailed("Not today.")

    async def fine(_):
        await asyncio.sleep(0.01)
        return "fine"

    model = ScriptedModel(use(*wants("fail", "fine", "nope")), say("done"))
    _, record = await TurnHouse(model, FakeTools(fail=fail, fine=fine)).whole()
    assert results_of(model) == ["Not today.", "fine", "There is no such tool."]
    outcomes = [ToolOutcome.FAILED, ToolOutcome.FINISHED, ToolOutcome.FAILED]
    assert [call.outcome for call in record.tool_calls] == outcomes
    assert record.outcome is Outcome.ANSWERED


async def test_a_foreign_error_ends_the_others_and_the_turn():
    cancelled = []

    async def broken(_):
        await asyncio.sleep(0)
        raise ZeroDivisionError("boom")

    async def slow(_):
        try:
            await FOREVER().wait()
        except asyncio.CancelledError:
            cancelled.append("slow")
            raise

    model = ScriptedModel(use(*wants("slow", "broken")))
    _, record = await TurnHouse(model, FakeTools(slow=slow, broken=broken)).whole()
    assert (record.outcome, record.failure.code, record.failure.error) == (
        Outcome.FAILED,
        Code.INTERNAL,
        "ZeroDivisionError: boom",
    )
    assert cancelled == ["slow"]
    assert [call.outcome for call in record.tool_calls] == [ToolOutcome.FAILED] * 2
    assert [call.failure is None for call in record.tool_calls] == [True, False]
    assert len(record.errors) == 1


async def test_a_turn_that_is_left_cancels_all_its_tools_and_waits_for_them():
    ended, running = [], asyncio.Event()

    async def slow(arguments):
        if arguments["n"] == 3:
            running.set()
        try:
            await FOREVER().wait()
        finally:
            await asyncio.sleep(0.01)
            ended.append(arguments["n"])

    house = TurnHouse(ScriptedModel(use(*wants("slow", "slow", "slow"))), FakeTools(slow=slow))
    async with house.listening() as turn:
        await running.wait()
        assert turn.turn.tools_ran
        turn.leave()
        record = await turn.ended()
        assert sorted(ended) == [1, 2, 3]
    assert record.outcome is Outcome.CLIENT_GONE
    assert [call.outcome for call in record.tool_calls] == [ToolOutcome.FAILED] * 3


async def test_a_tool_that_swallows_its_cancelling_does_not_keep_the_turn():
    running = asyncio.Event()

    async def stubborn(_):
        running.set()
        try:
            await FOREVER().wait()
        except asyncio.CancelledError:
            return "and yet"

    model = ScriptedModel(use(*wants("stubborn")), say("never"))
    house = TurnHouse(model, FakeTools(stubborn=stubborn))
    async with house.listening() as turn:
        await running.wait()
        turn.leave()
        record = await turn.ended()
    assert (record.outcome, len(model.prompts)) == (Outcome.CLIENT_GONE, 1)


async def test_each_tool_has_a_span_below_the_turn():
    meeting = Meeting(2)
    model = ScriptedModel(use(*wants("meet", "meet")), say("done"))
    with traced() as kept:
        await TurnHouse(model, FakeTools(meet=meeting)).whole()
    spans = {each.context.span_id: each for each in kept.get_finished_spans()}
    tools = [each for each in spans.values() if each.name == "execute_tool meet"]
    assert [spans[each.parent.span_id].name for each in tools] == ["invoke_agent parley"] * 2
    assert {each.attributes["gen_ai.tool.call.id"] for each in tools} == {"c1", "c2"}


async def test_where_nobody_can_be_asked_a_tool_that_needs_a_yes_is_denied():
    async def never(_):
        raise AssertionError

    tools = FakeTools(never=never)
    tools.facts["never"] = {"approval": True}
    model = ScriptedModel(use(*wants("never")), say("sorry"))
    events, record = await TurnHouse(model, tools).whole(FakeAsk())
    assert results_of(model) == ["The tool never needs somebody's approval; nobody can be asked."]
    (call,) = record.tool_calls
    assert (call.outcome, call.failure.code, tools.ran) == (ToolOutcome.DENIED, Code.FORBIDDEN, [])
    assert [each.outcome for each in events if isinstance(each, ToolEnded)] == [ToolOutcome.DENIED]


async def test_nobody_is_asked_about_a_call_that_cannot_be_run():
    registry = Registry([structs.replace(calculate.build(), approval=True)])
    model = ScriptedModel(use(ToolUse("c1", "calculate", {"x": 1})), say("sorry"))
    _, record = await TurnHouse(model, registry).whole()
    assert results_of(model)[0].startswith("The arguments of calculate do not fit")
    assert record.tool_calls[0].outcome is ToolOutcome.FAILED


async def test_three_rounds_are_each_recorded():
    async def echo(arguments):
        return f"got {arguments['n']}"

    rounds = [use(ToolUse(f"c{number}", "echo", {"n": number})) for number in (1, 2, 3)]
    model = ScriptedModel(*rounds, say("done"))
    house = TurnHouse(model, FakeTools(echo=echo))
    async with house.listening() as turn:
        events = await hear_all(turn)
        record = await turn.ended()
    assert [call.call_id for call in record.tool_calls] == ["c1", "c2", "c3"]
    assert [each.call_id for each in events if isinstance(each, ToolEnded)] == ["c1", "c2", "c3"]
    assert [results_of(model, number) for number in (1, 2, 3)] == [["got 1"], ["got 2"], ["got 3"]]
