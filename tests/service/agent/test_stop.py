"""A service that stops: running turns have their grace, new ones are refused, each has its record."""

import asyncio
import contextlib

import pytest

from service.agent import turns
from service.agent.events import Text
from service.agent.model import ContentBegan, TextPiece
from service.agent.upstream.scripted import Pause, ScriptedModel, begin, say
from telemetry.failure import Code
from telemetry.record import Outcome
from tests.harness.agent import FakeAsk, TurnHouse, hear_all


async def test_a_turn_that_ends_within_the_grace_is_answered():
    go_on = asyncio.Event()
    house = TurnHouse(ScriptedModel((*begin(), Pause(go_on.wait), *say("late"))), grace=30)
    async with house.listening() as running:
        stopping = asyncio.create_task(house.turns.stop())
        await asyncio.sleep(0)
        assert house.turns.stopping
        go_on.set()
        assert Text("late") in await hear_all(running)
        await stopping
    assert [record.outcome for record in house.records] == [Outcome.ANSWERED]


async def test_a_turn_that_does_not_is_ended_as_shutdown():
    steps = (*begin(), ContentBegan(), TextPiece("half"), Pause(asyncio.Event().wait))
    house = TurnHouse(ScriptedModel(steps), grace=0)
    async with house.listening() as running:
        assert not isinstance(await running.hear(), Text)
        await house.turns.stop()
        (record,) = house.records
        assert (record.outcome, record.failure.code) == (Outcome.SHUTDOWN, Code.SHUTTING_DOWN)
        assert record.response_length == 4


async def test_stop_waits_for_every_record():
    silent = (*begin(), Pause(asyncio.Event().wait))
    house = TurnHouse(ScriptedModel(*[silent] * 20))
    running = [house.turns.start(FakeAsk(turn_id=str(number))) for number in range(20)]
    await asyncio.sleep(0)
    await house.turns.stop()
    assert sorted(record.opening.turn_id for record in house.records) == sorted(map(str, range(20)))
    assert {record.outcome for record in house.records} == {Outcome.SHUTDOWN}
    for each in running:
        each.leave()


async def test_a_turn_that_begins_after_the_stop_is_refused():
    model = ScriptedModel()
    house = TurnHouse(model)
    await house.turns.stop()
    events, record = await house.whole()
    assert (events, model.prompts) == ([], [])
    assert (record.outcome, record.failure.code) == (Outcome.REFUSED, Code.SHUTTING_DOWN)
    assert record.failure.retry_after_ms >= 1


async def test_a_turn_that_began_and_had_no_step_yet_is_refused():
    house = TurnHouse(ScriptedModel())
    running = house.turns.start(FakeAsk())
    await house.turns.stop()
    (record,) = house.records
    assert record.failure.code is Code.SHUTTING_DOWN
    running.leave()


@pytest.mark.parametrize("grace", [0, 30])
async def test_two_stops_at_once_are_one(grace):
    go_on = asyncio.Event()
    house = TurnHouse(ScriptedModel((*begin(), Pause(go_on.wait), *say("late"))), grace=grace)
    async with house.listening() as running:
        await asyncio.sleep(0)
        both = asyncio.gather(house.turns.stop(), house.turns.stop())
        await asyncio.sleep(0)
        go_on.set()
        await hear_all(running)
        await both
    assert len(house.records) == 1


async def test_a_service_without_turns_stops_at_once():
    house = TurnHouse(ScriptedModel())
    await house.turns.stop()
    await house.turns.stop()
    assert house.records == []


async def test_a_turn_that_does_not_end_at_all_is_named_and_left_behind(monkeypatch, caplog):
    monkeypatch.setattr(turns, "END_SECONDS", 0.01)
    free = asyncio.Event()

    async def deaf():
        while not free.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await free.wait()

    house = TurnHouse(ScriptedModel((*begin(), Pause(deaf), *say("late"))))
    async with house.listening() as running:
        await asyncio.sleep(0.01)
        await asyncio.wait_for(house.turns.stop(), 30)
        assert house.records == []
        (line,) = [record for record in caplog.records if record.message == "request_failed"]
        assert "turn turn-1 did not end" in str(vars(line))
        free.set()
        await running.ended()
    assert len(house.records) == 1


async def test_turns_are_told_before_the_grace_is_over():
    steps = (*begin(), ContentBegan(), Pause(asyncio.Event().wait))
    house = TurnHouse(ScriptedModel(steps), grace=1.0)
    clock = asyncio.get_running_loop().time
    async with house.listening() as running:
        over = clock() + 1.0
        stopping = asyncio.create_task(house.turns.stop())
        await hear_all(running)
        told = clock()
        await stopping
    assert told >= over - turns.LEAD - turns.LEAD_EACH
    assert [record.outcome for record in house.records] == [Outcome.SHUTDOWN]


async def test_during_the_delay_turns_are_taken_though_the_service_leaves():
    house = TurnHouse(ScriptedModel(say("x"), say("y")), grace=600.0)
    house.turns._delay = 600.0
    stopping = asyncio.create_task(house.turns.stop())
    await asyncio.sleep(0)
    assert (house.turns.leaving, house.turns.stopping) == (True, False)
    _, record = await house.whole()
    assert record.outcome is Outcome.ANSWERED
    house.turns.hurry()
    await stopping
    _, record = await house.whole(FakeAsk(turn_id="turn-2"))
    assert record.failure.code is Code.SHUTTING_DOWN
