"""Another model answers where the one that was asked for cannot, as long as nobody heard anything."""

import pytest
from msgspec import structs

from service.agent.cost import Prices
from service.agent.events import Began, Text
from service.agent.model import ContentBegan, ToolUse
from service.agent.upstream.guard import Guards
from service.agent.upstream.scripted import USAGE, ScriptedModel, begin, say, use
from service.errors import (
    BudgetSpent,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamUnreachable,
)
from service.web import answer
from telemetry.failure import Code
from telemetry.record import Outcome, UsageSource
from tests.harness.agent import QUESTION, FakeAsk, FakeGate, FakeTools, TurnHouse

ASKED, OTHER, THIRD = QUESTION.model, "claude-haiku-5-5", "claude-opus-5-5"
OVERLOADED = UpstreamOverloaded("busy", status=529, retry_after_ms=0)
LATER = UpstreamRateLimited("", status=429, retry_after_ms=3_600_000)
DOWN = [[OVERLOADED]] * 3


def models(record):
    return [call.model for call in record.model_calls]


async def test_the_next_model_answers_and_is_said_and_priced():
    model = ScriptedModel(*DOWN, say("Hi"))
    events, record = await TurnHouse(model, fallbacks=(OTHER, THIRD)).whole()
    assert record.outcome is Outcome.ANSWERED
    assert [prompt.model for prompt in model.prompts] == [ASKED] * 3 + [OTHER]
    assert (models(record), record.opening.model, record.model) == ([ASKED, OTHER], ASKED, OTHER)
    first, second = record.model_calls
    assert (len(first.attempts), first.failure.code) == (3, Code.UPSTREAM_OVERLOADED)
    assert (second.failure, second.priced_as) == (None, OTHER)
    assert record.cost_micros == Prices.load().price(OTHER, USAGE).cost_micros
    assert events == [Began("turn-1", QUESTION.conversation_id, OTHER, record.opening.trace_id), Text("Hi")]
    assert answer.done(record)["model"] == OTHER
    assert len(record.errors) == 3


async def test_a_long_retry_after_is_not_waited_for_where_another_can_answer():
    model = ScriptedModel([LATER], say("Hi"))
    _, record = await TurnHouse(model, fallbacks=(OTHER,)).whole()
    assert (record.outcome, models(record)) == (Outcome.ANSWERED, [ASKED, OTHER])


async def test_where_none_can_the_error_is_the_first_ones():
    model = ScriptedModel([LATER], [UpstreamUnreachable("")], [UpstreamFailed("", status=404)])
    house = TurnHouse(model, fallbacks=(THIRD, OTHER), guards=Guards(clock=lambda: 0.0))
    for guard in (house.agent.guards.of(THIRD), house.agent.guards.of(OTHER)):
        while guard.retries.take():
            pass
    _, record = await house.whole()
    assert models(record) == [ASKED, THIRD, OTHER]
    assert (record.outcome, record.failure.code) == (Outcome.FAILED, Code.UPSTREAM_RATE_LIMITED)
    assert record.failure.retry_after_ms == 3_600_000
    assert (record.model, record.usage_source) == (ASKED, UsageSource.NONE)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 413])
async def test_what_would_fail_there_too_is_not_tried(status):
    model = ScriptedModel([UpstreamFailed("", status=status)])
    _, record = await TurnHouse(model, fallbacks=(OTHER,)).whole()
    assert (models(record), record.failure.code) == ([ASKED], Code.UPSTREAM_ERROR)


async def test_nobody_hears_two_models():
    model = ScriptedModel((*begin(), ContentBegan(), OVERLOADED))
    _, record = await TurnHouse(model, fallbacks=(OTHER,)).whole()
    assert models(record) == [ASKED]
    model = ScriptedModel([LATER], (*begin(), ContentBegan(), OVERLOADED))
    _, record = await TurnHouse(model, fallbacks=(OTHER, THIRD)).whole()
    assert (models(record), record.model) == ([ASKED, OTHER], OTHER)
    assert record.failure.code is Code.UPSTREAM_OVERLOADED


async def test_no_other_model_goes_on_after_a_tool():
    async def echo(_):
        return "x"

    model = ScriptedModel(use(ToolUse("c1", "echo", {})), [OVERLOADED])
    _, record = await TurnHouse(model, FakeTools(echo=echo), fallbacks=(OTHER,)).whole()
    assert models(record) == [ASKED, ASKED]


async def test_who_answered_is_asked_again_with_its_tools():
    async def echo(_):
        return "x"

    model = ScriptedModel([LATER], use(ToolUse("c1", "echo", {})), say("done"))
    _, record = await TurnHouse(model, FakeTools(echo=echo), fallbacks=(OTHER,)).whole()
    assert models(record) == [ASKED, OTHER, OTHER]
    assert record.outcome is Outcome.ANSWERED


async def test_a_model_left_alone_is_passed_over_at_once():
    guards = Guards(clock=lambda: 0.0)
    house = TurnHouse(ScriptedModel(*[[UpstreamUnreachable("", retry_after_ms=0)]] * 5), guards=guards)
    breaker = guards.of(ASKED).breaker
    while not breaker.open:
        await house.whole(FakeAsk(turn_id=f"turn-{len(house.records) + 2}"))
    _, record = await house.whole(FakeAsk(turn_id="refused"))
    assert (record.failure.code, record.failure.retry_after_ms) == (Code.UPSTREAM_UNREACHABLE, 5_000)
    assert record.model_calls[0].attempts == ()
    other = TurnHouse(ScriptedModel(say("a")), guards=guards, fallbacks=(OTHER,))
    _, record = await other.whole()
    assert (record.outcome, record.model) == (Outcome.ANSWERED, OTHER)
    assert [len(call.attempts) for call in record.model_calls] == [0, 1]


async def test_a_model_that_the_caller_may_not_ask_is_passed_over():
    gate = Without(OTHER)
    model = ScriptedModel([LATER], say("Hi"))
    _, record = await TurnHouse(model, gate=gate, fallbacks=(OTHER, THIRD)).whole()
    assert models(record) == [ASKED, THIRD]
    assert gate.grants[0].models == [OTHER, THIRD]
    assert len(gate.grants[0].calls) == 1


async def test_one_that_the_money_does_not_cover_is_not_asked():
    gate = FakeGate()
    gate.deny = BudgetSpent("no")
    model = ScriptedModel([LATER])
    _, record = await TurnHouse(model, gate=gate, fallbacks=(OTHER,)).whole()
    assert models(record) == [ASKED]
    assert record.failure.code is Code.UPSTREAM_RATE_LIMITED


async def test_thinking_of_one_model_is_not_told_to_another():
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    first = say("one")
    first[-1].content.insert(0, thought)
    model = ScriptedModel(first, [LATER], say("two"), say("three"))
    house = TurnHouse(model, fallbacks=(OTHER,))
    for number in (1, 2, 3):
        await house.whole(FakeAsk(structs.replace(QUESTION, continues=True), turn_id=f"turn-{number}"))
    asked, instead, later = model.prompts[1:]
    assert thought in asked.messages[1]["content"]
    assert thought not in instead.messages[1]["content"]
    assert later.model == ASKED


class Without(FakeGate):
    """A gate whose grants do without a model."""

    def __init__(self, *names):
        super().__init__()
        self.names = names

    async def admit(self, caller, turn_id, opened_at, model, weigh):
        grant = await super().admit(caller, turn_id, opened_at, model, weigh)
        grant.without = self.names
        return grant
