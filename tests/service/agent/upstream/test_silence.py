"""Silence is the API's, counted in slices: pings, our own lateness and a slow listener are none of it."""

import asyncio
import time

import pytest

from service.agent.upstream.silence import SLICES, Silence, Silent, Times

SHORT = Times(first=0.2, between=0.2)


async def silent(silence, work):
    """Whether the work was too silent."""
    try:
        async with silence.bounding():
            await work
    except Silent:
        return True
    return False


async def test_nothing_at_all_is_silence():
    assert await silent(Silence(SHORT), asyncio.sleep(30))


async def test_the_first_event_has_a_time_of_its_own():
    silence = Silence(Times(first=0.05, between=30))
    assert await silent(silence, asyncio.sleep(30))

    async def begin():
        silence.broken()
        await asyncio.sleep(0.2)

    silence = Silence(Times(first=0.05, between=30))
    assert not await silent(silence, begin())


async def test_an_event_breaks_it():
    silence = Silence(SHORT)

    async def speak():
        for _ in range(6):
            await asyncio.sleep(0.1)
            silence.broken()

    assert not await silent(silence, speak())


async def test_a_loop_that_stands_still_spends_one_slice():
    silence = Silence(SHORT)

    async def stand():
        for _ in range(SLICES - 2):
            time.sleep(0.2)  # noqa: ASYNC251 - that is what is tested
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    assert not await silent(silence, stand())


async def test_while_we_are_waited_for_nobody_is_silent():
    silence = Silence(SHORT)

    async def be_slow():
        with silence.ours():
            await asyncio.sleep(0.6)

    assert not await silent(silence, be_slow())


async def test_a_timeout_of_somebody_else_stays_theirs():
    async def late():
        raise TimeoutError("theirs")

    with pytest.raises(TimeoutError, match="theirs"):
        await silent(Silence(SHORT), late())


async def test_a_turn_that_ends_meanwhile_ends():
    asking = asyncio.create_task(silent(Silence(SHORT), asyncio.sleep(30)))
    await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
