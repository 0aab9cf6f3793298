"""A server of ours in the test's own loop, with deadlines that a test can wait for, and raw connections."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from service.server import loops
from service.server.connection import connections_in
from service.server.hall import Hall
from service.server.servers import Quiet, listen
from tests.service.web.conftest import web  # noqa: F401 - a fixture

LOOPS = {"asyncio": asyncio.SelectorEventLoop, "uvloop": loops.factory() or asyncio.SelectorEventLoop}
SOON = 0.05
LATER = 30.0


class Wire:
    """One connection to the server, byte by byte."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def send(self, *pieces, pause=0.0):
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(pause)

    async def answer(self):
        """The next answer: status, headers and body."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = await self.reader.readexactly(int(headers["content-length"]))
        return int(head[0].split()[1]), headers, body

    async def closed(self):
        """Wait until the server has closed it; what it still said."""
        try:
            return await asyncio.wait_for(self.reader.read(), LATER)
        except ConnectionError:
            return b""


class Served:
    """A server that runs."""

    def __init__(self, server, hall, port, opened):
        self.server, self.hall, self._port, self._opened = server, hall, port, opened

    @property
    def connections(self):
        return self.server.server_state.connections

    async def connect(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._opened.callback(writer.close)
        return Wire(reader, writer)


@asynccontextmanager
async def served(app, most=100, *, stall=LATER, closing=bool, **deadlines):
    """Serve an application; times are seconds."""
    hall = Hall(most, closing, stall, pace=SOON / 10)
    kind = connections_in(hall)
    for name in ("head", "body", "linger", "idle"):
        setattr(kind, f"{name}_seconds", deadlines.get(name, LATER))
    listener = listen(("127.0.0.1", 0))
    server = Quiet(app, listener, lambda _at_once, finish: finish(), kind)
    async with AsyncExitStack() as opened, server.running():
        while not server.started:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.001)
        try:
            yield Served(server, hall, listener.getsockname()[1], opened)
        finally:
            await opened.aclose()
            server.should_exit = server.force_exit = True


def pytest_asyncio_loop_factories(config, item):
    """Every test of the server in both loops."""
    del config, item
    return LOOPS


@pytest.fixture
async def serve():
    """Serve in the block of the test: `await serve(app, head=0.1)`."""
    async with AsyncExitStack() as running:
        yield lambda app, *given, **named: running.enter_async_context(served(app, *given, **named))
