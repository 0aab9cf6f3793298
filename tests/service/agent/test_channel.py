"""Between a turn and its listeners: whoever goes wakes the other; what was heard is kept for a while."""

import asyncio

import pytest

from service.agent.channel import CAPACITY, OVERHEAD, Channel
from service.agent.events import Began, Text
from service.agent.room import Room
from service.errors import ClientGone, NotFound

BEGAN = Began("t", "c", "m", "0" * 32)


@pytest.fixture
def channel():
    return Channel()


@pytest.fixture
def ear(channel):
    """The first listener."""
    return channel.listen()


async def hear(ear, count):
    return [await ear.hear() for _ in range(count)]


async def say(channel, *texts):
    for text in texts:
        await channel.say(Text(text))


async def fill(channel):
    """As much as nobody hears before the speaker waits, and one more that has to."""
    await say(channel, *map(str, range(CAPACITY)))
    saying = asyncio.create_task(channel.say(Text("last")))
    await asyncio.sleep(0.01)
    assert not saying.done()
    return saying


async def test_events_come_in_order_and_then_none(channel, ear):
    await say(channel, "a", "b")
    channel.finish()
    assert await hear(ear, 4) == [Text("a"), Text("b"), None, None]
    assert channel.text == "ab"


async def test_it_begins_once(channel, ear):
    await channel.begin(BEGAN)
    await channel.begin(BEGAN)
    channel.finish()
    assert await hear(ear, 2) == [BEGAN, None]


async def test_a_full_channel_holds_the_speaker_until_there_is_room(channel, ear):
    saying = await fill(channel)
    assert await ear.hear() == Text("0")
    await saying


async def test_a_listener_that_leaves_wakes_a_waiting_speaker(channel, ear):
    saying = await fill(channel)
    assert ear.place == 0
    channel.leave()
    with pytest.raises(ClientGone):
        await saying


async def test_nobody_can_be_told_once_the_listener_left(channel, ear):
    channel.leave()
    channel.leave()
    with pytest.raises(ClientGone):
        await channel.say(Text("a"))
    assert await ear.hear() is None
    with pytest.raises(NotFound):
        channel.listen()


async def test_a_speaker_that_finishes_wakes_a_waiting_listener(channel, ear):
    hearing = asyncio.create_task(ear.hear())
    await asyncio.sleep(0)
    channel.finish()
    channel.finish()
    assert await hearing is None


async def test_a_cancelled_wait_loses_no_event(channel, ear):
    hearing = asyncio.create_task(ear.hear())
    await asyncio.sleep(0)
    hearing.cancel()
    await asyncio.sleep(0)
    await say(channel, "a")
    assert await ear.hear() == Text("a")


async def test_without_room_nothing_that_was_heard_is_kept(channel, ear):
    await say(channel, "a", "b")
    await ear.hear()
    with pytest.raises(NotFound):
        channel.listen(0)
    assert await channel.listen(1).hear() == Text("b")


async def test_with_room_whoever_comes_later_hears_on_from_any_event():
    channel = Channel(room=Room())
    first = channel.listen()
    await say(channel, "a", "b", "c")
    await hear(first, 3)
    first.leave()
    assert channel.listeners == 0
    for after, expected in enumerate(["abc", "bc", "c", ""]):
        ear = channel.listen(after)
        assert [each.text for each in await hear(ear, len(expected))] == list(expected)
        ear.leave()
    for wrong in (-1, 4):
        with pytest.raises(NotFound):
            channel.listen(wrong)


async def test_nobody_holds_up_a_speaker_whom_nobody_hears():
    channel = Channel(room=Room())
    channel.listen().leave()
    await say(channel, *map(str, range(2 * CAPACITY)))
    assert channel.said == 2 * CAPACITY


async def test_the_furthest_listener_holds_the_speaker_and_not_a_slow_one():
    channel = Channel(room=Room())
    fast, slow = channel.listen(), channel.listen()
    saying = await fill(channel)
    await fast.hear()
    await saying
    assert slow.place == 0
    fast.leave()
    again = asyncio.create_task(channel.say(Text("now the slow one counts")))
    await asyncio.sleep(0.01)
    assert not again.done()
    await hear(slow, 2)
    await again


async def test_a_turn_keeps_no_more_than_its_room_and_the_oldest_goes_first():
    room = Room(each=3 * OVERHEAD + 3)
    channel = Channel(room=room)
    ear, slow = channel.listen(), channel.listen()
    for text in "abcde":
        await say(channel, text)
        await ear.hear()
    assert room.taken == 3 * (OVERHEAD + 1)
    with pytest.raises(NotFound):
        channel.listen(1)
    assert await channel.listen(2).hear() == Text("c")
    assert await slow.hear() is None, "it was left behind, which is not the end"
    assert slow.place == 0
    channel.leave()
    assert room.taken == 0


async def test_all_turns_together_keep_no_more_than_their_room():
    room = Room(each=10**6, all_together=2 * OVERHEAD)
    one, two = Channel(room=room), Channel(room=room)
    for channel in (one, two):
        ear = channel.listen()
        for text in "ab":
            await say(channel, text)
            await ear.hear()
        ear.leave()
    assert room.taken <= 2 * OVERHEAD
    await say(one, "c")
    assert room.taken <= 2 * OVERHEAD
