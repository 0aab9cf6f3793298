"""What may refuse a turn before the model is asked, in the contract's order; each refusal is a record."""

import pytest
from msgspec.structs import replace

from service.agent.upstream.scripted import ScriptedModel, say
from service.errors import DatabaseError, Forbidden, InvalidRequest, Unauthenticated
from telemetry.failure import Code, FieldError
from telemetry.record import Decision, Outcome, Reserved
from tests.harness.agent import ALLOWED, CALLER, QUESTION, FakeAsk, FakeGate, TurnHouse, hear_all

REFUSALS = [
    (FakeAsk(caller=Unauthenticated("no")), Code.UNAUTHENTICATED, Outcome.REFUSED, None),
    (FakeAsk(caller=Forbidden("no")), Code.FORBIDDEN, Outcome.REFUSED, None),
    (FakeAsk(caller=DatabaseError("no")), Code.DATABASE_ERROR, Outcome.FAILED, None),
    (FakeAsk(question=InvalidRequest("no")), Code.INVALID_REQUEST, Outcome.REFUSED, CALLER),
    (FakeAsk(question=RuntimeError("boom")), Code.INTERNAL, Outcome.FAILED, CALLER),
]


@pytest.mark.parametrize(("ask", "code", "outcome", "caller"), REFUSALS)
async def test_a_refusal_is_a_record_that_cost_nothing(ask, code, outcome, caller):
    model, gate = ScriptedModel(), FakeGate()
    house = TurnHouse(model, gate=gate)
    events, record = await house.whole(ask)
    assert (events, model.prompts, gate.asked, house.sink.openings) == ([], [], 0, [])
    assert (record.outcome, record.failure.code, record.opening.caller) == (outcome, code, caller)
    assert (record.opening.query, record.opening.rate_limit, record.cost_micros) == (None, None, 0)
    assert house.records == [record]


async def test_the_refusals_fields_are_kept():
    fields = (FieldError("message", "Required"),)
    _, record = await TurnHouse(ScriptedModel()).whole(FakeAsk(InvalidRequest("no", fields=fields)))
    assert record.failure.fields == fields


async def test_the_limiter_refuses_before_the_model_is_asked():
    denied = replace(ALLOWED, decision=Decision.DENIED, remaining=0, retry_after_ms=1234)
    model = ScriptedModel()
    house = TurnHouse(model, gate=FakeGate(denied))
    events, record = await house.whole()
    assert (events, model.prompts, house.sink.openings) == ([], [], [])
    assert (record.outcome, record.failure.code) == (Outcome.REFUSED, Code.RATE_LIMITED)
    assert record.failure.retry_after_ms == 1234
    assert record.opening.rate_limit == denied


@pytest.mark.parametrize("decision", [None, replace(ALLOWED, decision=Decision.OBSERVED)])
async def test_a_limiter_that_only_looks_refuses_nothing(decision):
    _, record = await TurnHouse(ScriptedModel(say("x")), gate=FakeGate(decision)).whole()
    assert (record.outcome, record.opening.rate_limit) == (Outcome.ANSWERED, decision)


async def test_the_standing_is_known_only_with_the_caller():
    house = TurnHouse(ScriptedModel(say("x")))
    async with house.listening(FakeAsk(caller=Unauthenticated("no"))) as unknown:
        await hear_all(unknown)
        assert unknown.standing is None
    peeked = replace(ALLOWED, remaining=2)
    house = TurnHouse(ScriptedModel(), gate=FakeGate(peeked))
    async with house.listening(FakeAsk(question=InvalidRequest("no"))) as known:
        assert known.standing is None
        await hear_all(known)
        assert known.standing == peeked


async def test_an_address_is_refused_before_it_is_asked_who_it_is():
    gate = FakeGate()
    gate.shut = replace(ALLOWED, decision=Decision.DENIED, policy="address", remaining=0, retry_after_ms=1)
    ask = FakeAsk()
    _, record = await TurnHouse(ScriptedModel(), gate=gate).whole(ask)
    assert (gate.knocked, gate.asked, ask.looking.is_set()) == ([ask.address], 0, False)
    assert (record.failure.code, record.opening.caller) == (Code.RATE_LIMITED, None)
    assert record.opening.rate_limit == gate.shut


async def test_an_address_that_is_only_observed_goes_on():
    gate = FakeGate()
    gate.shut = replace(ALLOWED, decision=Decision.OBSERVED, policy="address")
    _, record = await TurnHouse(ScriptedModel(say("x")), gate=gate).whole()
    assert (record.outcome, record.opening.rate_limit) == (Outcome.ANSWERED, ALLOWED)


async def test_what_a_turn_may_need_is_weighed_with_all_that_was_said_before():
    gate, model = FakeGate(), ScriptedModel(say("a" * 1_000), say("b"))
    house = TurnHouse(model, gate=gate)
    await house.whole(FakeAsk(question=QUESTION))
    await house.whole(FakeAsk(question=replace(QUESTION, continues=True), turn_id="turn-2"))
    first, second = gate.needs
    assert second.tokens - first.tokens > 1_000
    assert first.cost_micros > first.least_micros > 0


async def test_a_grant_is_closed_once_with_what_each_call_took():
    gate = FakeGate()
    gate.reserved = Reserved(lease="turn-1", micros=77)
    _, record = await TurnHouse(ScriptedModel(say("x")), gate=gate).whole()
    (grant,) = gate.grants
    assert grant.closed == [([record.usage.total_tokens], record.cost_micros)]
    assert record.usage.total_tokens > 0
    assert record.opening.reserved == gate.reserved


async def test_a_refused_and_a_failed_turn_close_their_grant_too():
    denied = FakeGate(replace(ALLOWED, decision=Decision.DENIED))
    await TurnHouse(ScriptedModel(), gate=denied).whole()
    failed = FakeGate()
    await TurnHouse(ScriptedModel(RuntimeError("boom")), gate=failed).whole()
    assert ([grant.closed for grant in denied.grants], [len(grant.closed) for grant in failed.grants]) == (
        [[([], 0)]],
        [1],
    )
