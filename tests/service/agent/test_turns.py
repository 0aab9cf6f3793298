"""How turns end: whoever ends them, at whatever moment, there is exactly one record."""

import asyncio

import pytest

from service.agent.channel import CAPACITY
from service.agent.events import Began, Text
from service.agent.model import ContentBegan, TextPiece, ToolUse
from service.agent.upstream.scripted import Pause, ScriptedModel, begin, say, use
from service.errors import (
    ServiceError,
    UpstreamOverloaded,
)
from telemetry.failure import Code
from telemetry.record import Outcome
from tests.harness.agent import ALLOWED, CALLER, QUESTION, FakeAsk, FakeTools, TurnHouse, hear_all


def silent():
    """A pause that only a cancel ends."""
    return Pause(asyncio.Event().wait)


def mid_text():
    return (*begin(), ContentBegan(), TextPiece("half"), silent())


async def until_heard(running, kind):
    while not isinstance(await running.hear(), kind):
        pass


async def test_sinks_are_told_of_the_turn_before_and_after():
    house = TurnHouse(ScriptedModel(say("x")))
    await house.whole()
    (opening,), (record,) = house.sink.openings, house.records
    assert record.opening == opening
    assert (opening.caller, opening.query, opening.rate_limit) == (CALLER, QUESTION.message, ALLOWED)
    assert (opening.turn_id, opening.model, opening.streamed) == ("turn-1", QUESTION.model, True)


async def test_leaving_before_the_turns_first_step():
    model, ask = ScriptedModel(), FakeAsk()
    house = TurnHouse(model)
    running = house.turns.start(ask)
    running.leave()
    record = await running.ended()
    assert (record.outcome, record.failure, ask.looking.is_set()) == (Outcome.CLIENT_GONE, None, False)
    assert (house.records, model.prompts) == ([record], [])


async def test_leaving_during_authentication():
    ask = FakeAsk(until=asyncio.Event().wait)
    house = TurnHouse(ScriptedModel())
    async with house.listening(ask):
        await ask.looking.wait()
    (record,) = house.records
    assert (record.outcome, record.failure, record.opening.caller) == (Outcome.CLIENT_GONE, None, None)


async def test_leaving_while_the_model_is_silent():
    asked = asyncio.Event()

    async def pause():
        asked.set()
        await asyncio.Event().wait()

    house = TurnHouse(ScriptedModel((*begin(), Pause(pause))))
    async with house.listening():
        await asked.wait()
    (record,) = house.records
    assert (record.outcome, record.failure) == (Outcome.CLIENT_GONE, None)
    (call,) = record.model_calls
    assert (call.failure, call.usage.input_tokens, call.first_chunk_seconds) == (None, 10, None)
    assert [(each.status, each.failure) for each in call.attempts] == [(200, None)]


async def test_leaving_in_mid_text_keeps_what_was_counted():
    house = TurnHouse(ScriptedModel(mid_text()))
    async with house.listening() as running:
        await until_heard(running, Text)
    (record,) = house.records
    assert (record.outcome, record.response_length) == (Outcome.CLIENT_GONE, 4)
    assert (record.usage.input_tokens, record.usage.output_tokens) == (10, 1)
    assert record.cost_micros > 0


async def test_leaving_during_a_tool():
    started = asyncio.Event()

    async def slow(_):
        started.set()
        await asyncio.Event().wait()

    house = TurnHouse(ScriptedModel(use(ToolUse("c1", "slow", {}))), FakeTools(slow=slow))
    async with house.listening():
        await started.wait()
    (record,) = house.records
    assert record.outcome is Outcome.CLIENT_GONE
    assert [(call.name, call.failure) for call in record.tool_calls] == [("slow", None)]
    assert record.errors == ()


async def test_leaving_after_the_end_changes_nothing():
    house = TurnHouse(ScriptedModel(say("x")))
    async with house.listening() as running:
        await hear_all(running)
        await running.ended()
        running.leave()
        running.leave()
    assert [record.outcome for record in house.records] == [Outcome.ANSWERED]


async def test_leaving_twice_at_once_is_leaving_once():
    house = TurnHouse(ScriptedModel(mid_text()))
    async with house.listening() as running:
        await until_heard(running, Text)
        running.leave()
        running.leave()
        assert await running.hear() is None
    assert [record.outcome for record in house.records] == [Outcome.CLIENT_GONE]


async def test_the_first_reason_wins():
    house = TurnHouse(ScriptedModel(mid_text()))
    async with house.listening() as running:
        await until_heard(running, Text)
        running.leave()
        running.end(ServiceError("second"))
        await running.ended()
    assert house.records[0].outcome is Outcome.CLIENT_GONE


async def test_a_cancelled_listener_does_not_cancel_the_turn():
    go_on = asyncio.Event()
    house = TurnHouse(ScriptedModel((*begin(), Pause(go_on.wait), *say("late"))))
    async with house.listening() as running:
        for wait in (running.hear, running.ended):
            waiting = asyncio.create_task(wait())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        go_on.set()
        assert Text("late") in await hear_all(running)
        assert (await running.ended()).outcome is Outcome.ANSWERED


async def test_the_deadline_ends_a_silent_turn():
    house = TurnHouse(ScriptedModel((*begin(), silent())), deadline=0.02)
    events, record = await house.whole()
    assert (events, record.outcome, record.failure.code) == ([], Outcome.TIMED_OUT, Code.TURN_TIMEOUT)
    assert record.failure.detail == "The turn took longer than 0.02 s."
    assert record.model_calls[0].failure.code is Code.TURN_TIMEOUT


async def test_the_deadline_counts_authentication_too():
    _, record = await TurnHouse(ScriptedModel(), deadline=0.02).whole(FakeAsk(until=asyncio.Event().wait))
    assert (record.outcome, record.opening.caller) == (Outcome.TIMED_OUT, None)


async def test_a_listener_that_never_reads_is_bounded_and_ends_at_the_deadline():
    told = []

    async def count():
        told.append(1)

    pieces = [step for _ in range(1000) for step in (TextPiece("x"), Pause(count))]
    house = TurnHouse(ScriptedModel((*begin(), ContentBegan(), *pieces)), deadline=0.1)
    async with house.listening() as running:
        record = await running.ended()
        assert record.outcome is Outcome.TIMED_OUT
        assert len(told) == CAPACITY - 1  # the first place is the beginning's
        assert record.response_length == CAPACITY


async def test_a_slow_listener_hears_everything_in_order():
    pieces = [str(number) for number in range(3 * CAPACITY)]
    house = TurnHouse(ScriptedModel(say(*pieces)))
    async with house.listening() as running:
        heard = []
        while (event := await running.hear()) is not None:
            await asyncio.sleep(0)
            heard.append(event)
    assert [each.text for each in heard[1:]] == pieces


async def test_an_error_after_content_is_the_records():
    house = TurnHouse(ScriptedModel((*begin(), ContentBegan(), TextPiece("x"), UpstreamOverloaded("busy"))))
    events, record = await house.whole()
    assert [type(each) for each in events] == [Began, Text]
    assert (record.outcome, record.failure.code) == (Outcome.FAILED, Code.UPSTREAM_OVERLOADED)


async def test_no_task_is_left():
    before = asyncio.all_tasks()
    house = TurnHouse(ScriptedModel(say("x"), mid_text()))
    await house.whole()
    async with house.listening() as running:
        await until_heard(running, Text)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    assert house.turns._running == {}


async def test_a_turn_whose_record_cannot_be_built_is_told_of(monkeypatch, caplog):
    def breaking(*_):
        raise RuntimeError("no record")

    monkeypatch.setattr("telemetry.recorder.OpenTurn.close", breaking)
    running = TurnHouse(ScriptedModel(say("x"))).turns.start(FakeAsk())
    await hear_all(running)
    with pytest.raises(ServiceError, match="left no record"):
        await running.ended()
    running.leave()
    (line,) = [record.line for record in caplog.records if record.line.type == "request_failed"]
    assert (line.fields["route"], line.fields["error"]) == (FakeAsk.route, "RuntimeError: no record")
    assert "Traceback" in line.fields["stack"]
