"""What may refuse a turn before the model is asked, in the contract's order; each refusal is a record."""

import pytest
from msgspec.structs import replace

from service.agent.scripted import ScriptedModel, say
from service.errors import DatabaseError, Forbidden, InvalidRequest, Unauthenticated
from telemetry.failure import Code, FieldError
from telemetry.record import Decision, Outcome
from tests.harness.agent import ALLOWED, CALLER, FakeAsk, FakeGate, TurnHouse, hear_all

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
