"""A client that takes nothing of its answer is dropped; one that takes anything is not."""

import asyncio
import socket
import struct

import pytest

from service.server.hall import LOOKS, Hall

STALL = 0.08


class Guest:
    """A connection with bytes that nobody took, `taken` of which go at each look; its own transport."""

    def __init__(self, left, taken=0):
        self.left, self.taken, self.aborted, self.looks = left, taken, asyncio.Event(), 0
        self.socket = socket.socket()
        self.transport = self

    def get_write_buffer_size(self):
        self.looks += 1
        self.left = max(0, self.left - self.taken)
        return self.left

    def get_extra_info(self, name):
        return {"socket": self.socket}[name]

    def abort(self):
        self.aborted.set()

    def heed(self, now):
        """Nothing is due."""


@pytest.fixture
def enter():
    """Enters a hall as a new guest."""
    made = []

    def make(*numbers):
        hall, guest = Hall(100, bool, STALL, pace=STALL / 100), Guest(*numbers)
        hall.enter(guest)
        made.append((hall, guest))
        return guest

    yield make
    for hall, guest in made:
        hall.leave(guest)
        guest.socket.close()


async def test_whoever_takes_nothing_is_dropped_with_all_that_waits(enter):
    stuck = enter(100)
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(30):
        await stuck.aborted.wait()
    assert asyncio.get_running_loop().time() - began >= STALL - 0.005  # a loop's clock may go by milliseconds
    linger = stuck.socket.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
    assert struct.unpack("ii", linger) == (1, 0)
    assert stuck.looks >= LOOKS


async def test_whoever_takes_a_byte_now_and_then_is_not(enter):
    slow = enter(10**6, 1)
    await asyncio.sleep(5 * STALL)
    assert slow.looks > LOOKS
    assert not slow.aborted.is_set()


async def test_whoever_took_all_has_all_the_time_again(enter):
    guest = enter(100)
    for _ in range(5):
        await asyncio.sleep(STALL * 0.6)
        guest.left = 0
        await asyncio.sleep(STALL / 20)
        guest.left = 100
    assert not guest.aborted.is_set()


async def test_a_client_that_takes_nothing_of_a_long_answer_is_dropped(serve):
    cut = asyncio.Event()

    async def endless(scope, receive, send):
        del scope
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        leaving = asyncio.create_task(receive())
        while not leaving.done():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await asyncio.sleep(0)
        cut.set()

    there = await serve(endless, stall=STALL)
    wire = await there.connect()
    wire.writer.transport.pause_reading()
    await wire.send(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
    async with asyncio.timeout(30):
        await cut.wait()


async def test_connections_that_are_gone_are_not_looked_at():
    hall, guest = Hall(100, bool, STALL, pace=STALL / 100), Guest(0)
    hall.enter(guest)
    await asyncio.sleep(STALL / 4)
    hall.leave(guest)
    looks = guest.looks
    await asyncio.sleep(STALL / 4)
    assert guest.looks == looks > 0
    guest.socket.close()
