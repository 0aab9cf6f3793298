"""A client that takes nothing of its answer is dropped; one that takes anything is not."""

import asyncio
import socket
import struct

import pytest

from service.web.stall import LOOKS, WIRE, impatient

SECONDS = 0.08


class FakeWire:
    """A connection with bytes that nobody took, `taken` of which go at each look."""

    def __init__(self, left, taken=0):
        self.left, self.taken, self.aborted, self.looks = left, taken, asyncio.Event(), 0
        self.socket = socket.socket()

    def get_write_buffer_size(self):
        self.looks += 1
        self.left = max(0, self.left - self.taken)
        return self.left

    def get_extra_info(self, name):
        return {"socket": self.socket}[name]

    def abort(self):
        self.aborted.set()


async def answer(wire, until):
    """Answer on this wire by an application that sends one piece and waits; what was sent."""
    sent = []

    async def app(scope, receive, send):
        del scope, receive
        await send("piece")
        await until()

    async def send(message):
        sent.append(message)

    await impatient(app, SECONDS)({WIRE: wire} if wire else {}, None, send)
    return sent


@pytest.fixture
def wire():
    made = []

    def make(*numbers):
        made.append(FakeWire(*numbers))
        return made[-1]

    yield make
    for each in made:
        each.socket.close()


async def test_whoever_takes_nothing_is_dropped_with_all_that_waits(wire):
    stuck = wire(100)
    async with asyncio.timeout(30):
        assert await answer(stuck, stuck.aborted.wait) == ["piece"]
    linger = stuck.socket.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)
    assert struct.unpack("ii", linger) == (1, 0)
    assert stuck.looks >= LOOKS


async def test_whoever_takes_a_byte_now_and_then_is_not(wire):
    slow = wire(10**6, 1)
    await answer(slow, lambda: asyncio.sleep(5 * SECONDS))
    assert not slow.aborted.is_set()
    slow.left = 0


async def test_a_client_is_looked_at_after_the_answers_end_too(wire):
    stuck = wire(100)
    await answer(stuck, lambda: asyncio.sleep(0))
    async with asyncio.timeout(30):
        await stuck.aborted.wait()


async def test_where_all_was_taken_nobody_looks(wire):
    quick = wire(0)
    await answer(quick, lambda: asyncio.sleep(2 * SECONDS))
    assert quick.looks == 2


async def test_a_server_that_shows_no_connection_is_left_alone():
    assert await answer(None, lambda: asyncio.sleep(0)) == ["piece"]
