"""Between a turn and its listener: whoever goes wakes the other."""

import asyncio

import pytest

from service.agent.channel import CAPACITY, Channel
from service.agent.events import Began, Text
from service.errors import ClientGone

BEGAN = Began("t", "c", "m", "0" * 32)


@pytest.fixture
def channel():
    made = Channel()
    yield made
    made.finish()
    made.leave()


async def test_events_come_in_order_and_then_none(channel):
    await channel.say(Text("a"))
    await channel.say(Text("b"))
    channel.finish()
    assert [await channel.hear() for _ in range(4)] == [Text("a"), Text("b"), None, None]


async def test_it_begins_once(channel):
    await channel.begin(BEGAN)
    await channel.begin(BEGAN)
    channel.finish()
    assert [await channel.hear(), await channel.hear()] == [BEGAN, None]


async def test_a_full_channel_holds_the_speaker_until_there_is_room(channel):
    for number in range(CAPACITY):
        await channel.say(Text(str(number)))
    saying = asyncio.create_task(channel.say(Text("last")))
    await asyncio.sleep(0)
    assert not saying.done()
    assert await channel.hear() == Text("0")
    await saying


async def test_a_listener_that_leaves_wakes_a_waiting_speaker(channel):
    for number in range(CAPACITY):
        await channel.say(Text(str(number)))
    saying = asyncio.create_task(channel.say(Text("last")))
    await asyncio.sleep(0)
    channel.leave()
    with pytest.raises(ClientGone):
        await saying


async def test_nobody_can_be_told_once_the_listener_left(channel):
    channel.leave()
    channel.leave()
    with pytest.raises(ClientGone):
        await channel.say(Text("a"))
    assert await channel.hear() is None


async def test_a_speaker_that_finishes_wakes_a_waiting_listener(channel):
    hearing = asyncio.create_task(channel.hear())
    await asyncio.sleep(0)
    channel.finish()
    channel.finish()
    assert await hearing is None


async def test_a_cancelled_wait_loses_no_event(channel):
    hearing = asyncio.create_task(channel.hear())
    await asyncio.sleep(0)
    hearing.cancel()
    await asyncio.sleep(0)
    await channel.say(Text("a"))
    assert await channel.hear() == Text("a")
