"""Streams that a client lost: the turn goes on for a while, and so does what is kept of it."""

import asyncio

import pytest
from msgspec import structs

from service.agent.events import Began, Text
from service.agent.model import ContentBegan, TextPiece
from service.agent.resuming import TURN, Resuming
from service.agent.upstream.scripted import Pause, ScriptedModel, begin, say
from service.errors import NotFound, UpstreamFailed
from telemetry.record import Caller, Outcome
from tests.harness.agent import CALLER, QUESTION, FakeAsk, TurnHouse, hear_all

LONG = 30.0
OTHER = Caller(user_id="bob", role="CFO", method="api_key", credential_id="k2", pseudonym="p2")


def parted(go_on):
    """An answer that waits in its middle."""
    return ScriptedModel((*begin(), ContentBegan(), TextPiece("a"), Pause(go_on.wait), *say("b")))


async def begun(house):
    """A turn whose first two events were heard before its client left."""
    running = house.turns.start(FakeAsk())
    assert isinstance(await running.hear(), Began)
    assert await running.hear() == Text("a")
    running.leave()
    return running


async def rest(ear):
    heard = []
    while (event := await ear.hear()) is not None:
        heard.append(event)
    return heard


async def test_a_turn_goes_on_for_a_client_that_lost_it():
    go_on = asyncio.Event()
    house = TurnHouse(parted(go_on), patience=LONG)
    running = await begun(house)
    ear = house.turns.resuming.find("turn-1", CALLER).listen(1)
    assert await ear.hear() == Text("a")
    go_on.set()
    assert await rest(ear) == [Text("b")]
    assert (await running.ended()).outcome is Outcome.ANSWERED
    running.leave(ear)
    assert await rest(running.listen(2)) == [Text("b")]
    running.give_up()
    assert house.records[0].outcome is Outcome.ANSWERED


async def test_a_client_that_does_not_come_again_is_gone():
    house = TurnHouse(parted(asyncio.Event()), patience=0.05)
    running = await begun(house)
    record = await running.ended()
    assert (record.outcome, record.failure) == (Outcome.CLIENT_GONE, None)
    with pytest.raises(NotFound):
        house.turns.resuming.find("turn-1", CALLER)
    with pytest.raises(NotFound):
        running.listen(2)
    assert (len(house.turns.resuming), house.turns.resuming.taken) == (0, 0)


async def test_whoever_comes_again_and_leaves_begins_the_wait_anew():
    house = TurnHouse(parted(asyncio.Event()), patience=0.2)
    running = await begun(house)
    await asyncio.sleep(0.12)
    ear = running.listen(2)
    await asyncio.sleep(0.3)
    assert running.record is None
    running.leave(ear)
    assert (await running.ended()).outcome is Outcome.CLIENT_GONE


async def test_as_long_as_anybody_listens_nobody_is_gone():
    go_on = asyncio.Event()
    house = TurnHouse(parted(go_on), patience=0.01)
    running = house.turns.start(FakeAsk())
    await running.hear()
    ear = running.listen(0)
    running.leave()
    await asyncio.sleep(0.05)
    go_on.set()
    assert [type(each) for each in await rest(ear)] == [Began, Text, Text]
    assert (await running.ended()).outcome is Outcome.ANSWERED
    running.give_up()


async def test_a_turn_that_nobody_heard_begin_waits_for_nobody():
    house = TurnHouse(ScriptedModel((*begin(), Pause(asyncio.Event().wait))), patience=LONG)
    running = house.turns.start(FakeAsk())
    await asyncio.sleep(0.01)
    running.leave()
    assert (await running.ended()).outcome is Outcome.CLIENT_GONE
    assert house.turns.resuming.taken == 0


async def test_an_answer_that_is_no_stream_waits_for_nobody():
    question = structs.replace(QUESTION, streamed=False)
    house = TurnHouse(parted(asyncio.Event()), patience=LONG)
    running = house.turns.start(FakeAsk(question))
    await running.hear()
    with pytest.raises(NotFound):
        house.turns.resuming.find("turn-1", CALLER)
    running.leave()
    assert (await running.ended()).outcome is Outcome.CLIENT_GONE
    assert house.turns.resuming.taken == 0


async def test_nobody_else_finds_it():
    house = TurnHouse(parted(asyncio.Event()), patience=LONG)
    running = await begun(house)
    with pytest.raises(NotFound) as one:
        house.turns.resuming.find("turn-1", OTHER)
    with pytest.raises(NotFound) as none:
        house.turns.resuming.find("turn-2", OTHER)
    assert one.value.detail == none.value.detail
    running.give_up()
    await running.ended()


async def test_what_ended_is_kept_as_long_as_a_lost_stream_is_waited_for():
    house = TurnHouse(ScriptedModel(say("x")), patience=0.1)
    running = house.turns.start(FakeAsk())
    await hear_all(running)
    running.leave()
    await running.ended()
    ear = running.listen(0)
    assert len(await rest(ear)) == 2
    running.leave(ear)
    while house.turns.resuming.taken:  # noqa: ASYNC110 - nobody is told of it
        await asyncio.sleep(0.01)
    with pytest.raises(NotFound):
        running.listen(0)
    assert house.records[0].outcome is Outcome.ANSWERED


async def test_a_failed_turn_is_kept_too():
    model = ScriptedModel((*begin(), ContentBegan(), TextPiece("a"), UpstreamFailed("no")))
    house = TurnHouse(model, patience=LONG)
    running = await begun(house)
    await running.ended()
    assert house.turns.resuming.find("turn-1", CALLER) is running
    running.give_up()


async def test_without_patience_nothing_is_kept():
    house = TurnHouse(ScriptedModel(say("x")))
    running = house.turns.start(FakeAsk())
    await hear_all(running)
    await running.ended()
    with pytest.raises(NotFound):
        house.turns.resuming.find("turn-1", CALLER)
    running.leave()


async def test_the_oldest_that_ended_makes_room_for_those_that_run():
    house = TurnHouse(ScriptedModel(*[say("x" * 1000)] * 3), patience=LONG)
    house.turns.resuming = Resuming(all_together=2 * TURN + 2_000)
    kept = []
    for number in range(3):
        running = house.turns.start(FakeAsk(turn_id=f"turn-{number}", question=None))
        await hear_all(running)
        await running.ended()
        running.leave()
        kept.append(running)
    assert house.turns.resuming.taken <= 2 * TURN + 2_000
    with pytest.raises(NotFound):
        house.turns.resuming.find("turn-0", CALLER)
    assert house.turns.resuming.find("turn-2", CALLER) is kept[2]
    for running in kept:
        running.give_up()
    assert house.turns.resuming.taken == 0
