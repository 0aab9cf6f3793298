"""How often one turn may call tools, and what it may cost."""

import pytest

from service.agent.granted import Ceiling
from service.agent.model import ToolUse
from service.agent.upstream.scripted import ScriptedModel, say, use
from service.errors import BudgetSpent
from telemetry.failure import Code
from telemetry.record import Outcome, ToolOutcome
from tests.harness.agent import FakeGate, FakeGrant, FakeTools, TurnHouse


async def echo(_):
    return "again"


async def test_calls_beyond_the_bound_are_denied_and_told_so():
    rounds = [
        use(*(ToolUse(f"c{n}", "echo", {}) for n in numbers)) for numbers in (range(2), range(2, 5), (5,))
    ]
    model, tools = ScriptedModel(*rounds, say("done")), FakeTools(echo=echo)
    _, record = await TurnHouse(model, tools).equip(max_calls=4).whole()
    assert len(tools.ran) == 4
    finished, denied = ToolOutcome.FINISHED, ToolOutcome.DENIED
    assert [call.outcome for call in record.tool_calls] == [*[finished] * 4, denied, denied]
    assert record.tool_calls[4].failure.code is Code.RATE_LIMITED
    told = model.prompts[2].messages[-1]["content"][-1]
    assert told["is_error"]
    assert told["content"].startswith("Tools were called 4 times in this turn")
    assert record.outcome is Outcome.ANSWERED


async def test_calls_of_tools_that_are_not_there_count_too():
    model = ScriptedModel(use(*(ToolUse(f"c{n}", "nope", {}) for n in range(3))), say("done"))
    _, record = await TurnHouse(model).equip(max_calls=2).whole()
    failed, denied = ToolOutcome.FAILED, ToolOutcome.DENIED
    assert [call.outcome for call in record.tool_calls] == [failed, failed, denied]


@pytest.mark.parametrize(("most", "calls"), [(None, 2), (10_000_000, 2), (1, 1)])
async def test_a_turn_is_not_asked_further_where_that_might_cost_more_than_one_may(most, calls):
    gate, tools = FakeGate(), FakeTools(echo=echo)
    model = ScriptedModel(use(ToolUse("1", "echo", {})), say("done"))
    house = TurnHouse(model, tools, gate=gate).equip(turn_micros=lambda: most)
    _, record = await house.whole()
    assert len(model.prompts) == calls
    if calls == 1:
        assert (record.outcome, record.failure.code) == (Outcome.FAILED, Code.OVER_BUDGET)
        assert gate.grants[0].closed == [([record.usage.total_tokens], record.cost_micros)]
    else:
        assert record.outcome is Outcome.ANSWERED


async def test_the_bound_counts_what_was_spent_and_what_is_to_come():
    from service.limits.need import Need

    need = Need(model="m", tokens=1, cost_micros=40, least_micros=1)
    grant = FakeGrant(None)
    await Ceiling(grant, 100).call(lambda: need, 60)
    assert grant.calls == [(need, 60)]
    with pytest.raises(BudgetSpent):
        await Ceiling(grant, 100).call(lambda: need, 61)
    await Ceiling(grant, None).call(lambda: need, 10**9)
    assert len(grant.calls) == 2
