"""A TCP proxy for one question at a time: late, dripping, dark for a while, reset before or in its answer.

Knows questions by the name in their bytes (`fault:way#name`), so that a seed says what becomes of each.
Refuses to understand anything else of what passes.
"""

import asyncio
import re
import socket
import struct
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from enum import Enum

from msgspec import Struct

from tests.faults.upstream import HOST, NAMED

PIECE = 65536
DRIP = 16
"""Bytes of an answer at one time, where it drips."""
ABORT = struct.pack("ii", 1, 0)
LENGTH = re.compile(rb"(?i)content-length: *(\d+)")


class Kind(Enum):
    """What may become of one question on its way."""

    CLEAR = "clear"
    LATE = "late"
    """Every piece waits, both ways."""
    DRIP = "drip"
    HALF = "half"
    """Half of the question arrives, and then a reset."""
    RESET = "reset"
    """So many bytes of the answer, and then a reset for both."""
    DARK = "dark"
    """So many bytes of the answer, then nothing passes for a while, not even that somebody leaves."""


class Fate(Struct, frozen=True):
    """What becomes of one question; `after` bytes of its answer, for so many `seconds`."""

    kind: Kind = Kind.CLEAR
    after: int = 0
    seconds: float = 0.0


CLEAR = Fate()
FateOf = Callable[[str, int], Fate]
"""What becomes of the question of this name, when it is asked for the so-manieth time (from 0)."""


class Weather:
    """Listens on a port of the loopback and passes on to `target`, a port that may change; 0 is nobody.

    `passed` counts by name how often a whole question reached the target; `met` what kinds there were.
    """

    def __init__(self, fate_of: FateOf) -> None:
        self._fate_of = fate_of
        self.target = self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.seen, self.passed, self.met = Counter[str](), Counter[str](), Counter[str]()

    @property
    def url(self) -> str:
        """The address that is asked instead of the target's."""
        return f"http://{HOST}:{self.port}"

    @property
    def open(self) -> int:
        """Connections that stand."""
        return len(self._tasks)

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator["Weather"]:
        """Pass on until the block is left."""
        server = await asyncio.start_server(self._connected, HOST, 0, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection(HOST, self.target)
        except OSError:
            cut(writer)
            return
        passing = asyncio.create_task(Passage(self, (reader, writer), there).run())
        self._tasks.add(passing)
        await asyncio.wait((passing,))
        self._tasks.discard(passing)

    def fate(self, name: str) -> Fate:
        """What becomes of this question now."""
        fate = self._fate_of(name, self.seen[name])
        self.seen[name] += 1
        self.met[fate.kind.value] += 1
        return fate


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Passage:
    """One connection through the proxy."""

    def __init__(self, weather: Weather, here: Ends, there: Ends) -> None:
        self._weather, self._here, self._there = weather, here, there
        self._fate, self._told = CLEAR, 0
        self._light = asyncio.Event()
        self._light.set()

    async def run(self) -> None:
        """Pass both ways until one side is cut, or both are done."""
        tasks = [asyncio.ensure_future(each) for each in (self._ask(), self._answer())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            broken = any(not task.done() or task.cancelled() or task.exception() for task in tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for _, writer in (self._here, self._there):
                cut(writer) if broken else writer.close()

    async def _ask(self) -> None:
        reader, writer = self._here[0], self._there[1]
        while piece := await reader.read(PIECE):
            await self._light.wait()
            if names := NAMED.findall(piece):
                await self._asked(names[-1][1].decode(), piece, writer)
            else:
                await self._write(writer, piece)
        await self._light.wait()
        with suppress(OSError):  # it may be closed by now
            writer.write_eof()

    async def _asked(self, name: str, piece: bytes, writer: asyncio.StreamWriter) -> None:
        """A question passes: its head may have gone before, its end comes with its words."""
        self._fate, self._told = self._weather.fate(name), 0
        if self._fate.kind is Kind.HALF:
            await self._write(writer, piece[: len(piece) // 2])
            raise ConnectionResetError
        await self._write(writer, piece)
        self._weather.passed[name] += 1

    async def _answer(self) -> None:
        reader, writer = self._there[0], self._here[1]
        while piece := await reader.read(PIECE):
            await self._light.wait()
            await self._tell(writer, piece)
        with suppress(OSError):
            writer.write_eof()

    async def _tell(self, writer: asyncio.StreamWriter, piece: bytes) -> None:
        fate, before = self._fate, self._told
        self._told += len(piece)
        if fate.kind is Kind.DRIP:
            for place in range(0, len(piece), DRIP):
                await self._write(writer, piece[place : place + DRIP])
                await asyncio.sleep(fate.seconds)
        elif fate.kind in {Kind.RESET, Kind.DARK} and self._told >= fate.after:
            await self._write(writer, piece[: max(0, fate.after - before)])
            await self._end(fate)
        else:
            await self._write(writer, piece)

    async def _end(self, fate: Fate) -> None:
        if fate.kind is Kind.DARK:
            self._light.clear()
            await asyncio.sleep(fate.seconds)
        raise ConnectionResetError

    async def _write(self, writer: asyncio.StreamWriter, piece: bytes) -> None:
        if self._fate.kind is Kind.LATE:
            await asyncio.sleep(self._fate.seconds)
        writer.write(piece)
        await writer.drain()


def cut(writer: asyncio.StreamWriter) -> None:
    """Be gone by a RST."""
    wire = writer.get_extra_info("socket")
    with suppress(OSError):
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    writer.transport.abort()
