"""A Messages API that says exactly the bytes it is told to, when it is told to, and sees its client leave.

Refuses to understand HTTP more than it must: a question's text names the script that is played.
"""

import asyncio
import contextlib
import re
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Self

from msgspec import Struct

HOST = "127.0.0.1"
NAMED = re.compile(rb"fault:([\w.-]+)#([\w.-]+)")
LEFT_ALONE = 60.0
"""Seconds after which a client that never leaves is given up."""


class Act(Enum):
    """What is done besides saying bytes."""

    RESET = "reset"
    CLOSE = "close"
    HOLD = "hold"
    PING = "ping"


class Wait(Struct, frozen=True):
    """Say nothing for so many seconds."""

    seconds: float


class Drip(Struct, frozen=True):
    """Say these bytes in small pieces."""

    data: bytes
    size: int = 7


class Endless(Struct, frozen=True):
    """Say these bytes again and again, until the client leaves."""

    data: bytes
    seconds: float = 0.001
    """Between two times."""


Step = bytes | Act | Wait | Drip | Endless
Script = Sequence[Step]


class Asked(Struct):
    """One question: when its script was over, and when its client had closed the connection."""

    began: float
    said: float | None = None
    closed: float | None = None


class Upstream:
    """Plays scripts by name, one for each question of a token, the last one for all further ones.

    `asked` has the questions of each token, in order. A context manager.
    """

    def __init__(self, scripts: Mapping[str, Sequence[Script]]) -> None:
        self._scripts = scripts
        self.asked: defaultdict[str, list[Asked]] = defaultdict(list)
        self.strangers: list[bytes] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scripted-upstream", daemon=True)
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    @property
    def settings(self) -> dict[str, str]:
        """What makes a service ask here."""
        return {"ANTHROPIC_API_KEY": "scripted", "ANTHROPIC_BASE_URL": f"http://{HOST}:{self.port}"}

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stopping = asyncio.Event()
        self._lines: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._line, HOST, 0, limit=1 << 24)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        server.close()
        for line in tuple(self._lines):
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._lines.add(task)
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._lines.discard(task)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Play one script; whether another question may follow on the same connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        body = await reader.readexactly(int(length[1])) if length else b""
        found = NAMED.findall(body)
        if not found or not head.startswith(b"POST /v1/messages"):
            self.strangers.append(head)
            return False
        name, token = (part.decode() for part in found[-1])
        asked = Asked(time.monotonic())
        self.asked[token].append(asked)
        scripts = self._scripts[name]
        script = scripts[min(len(self.asked[token]), len(scripts)) - 1]
        playing = asyncio.create_task(_play(script, writer))
        try:
            return await self._until_left(playing, reader, asked)
        finally:
            playing.cancel()

    async def _until_left(
        self, playing: "asyncio.Task[bool]", reader: asyncio.StreamReader, asked: Asked
    ) -> bool:
        leaving = asyncio.create_task(_left(reader))
        try:
            await asyncio.wait((playing, leaving), timeout=LEFT_ALONE, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done() and leaving.result():
                asked.closed = time.monotonic()
                return False
            asked.said = time.monotonic()
            kept = playing.done() and not playing.exception() and playing.result()
            if not kept:
                asked.closed = time.monotonic()
            return kept
        finally:
            leaving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await leaving


async def _left(reader: asyncio.StreamReader) -> bool:
    """Wait until the client has closed its side."""
    while not reader.at_eof() and not reader.exception():  # noqa: ASYNC110 - a reader has no event for it
        await asyncio.sleep(0.005)
    return True


async def _play(script: Script, writer: asyncio.StreamWriter) -> bool:
    """Play it; whether the connection is still good."""
    for step in script:
        if step in (Act.RESET, Act.CLOSE):
            await _close(writer, hard=step is Act.RESET)
            return False
        await _do(step, writer)
    return True


async def _close(writer: asyncio.StreamWriter, *, hard: bool) -> None:
    await writer.drain()
    if hard:
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
    else:
        writer.close()


async def _do(step: Step, writer: asyncio.StreamWriter) -> None:
    match step:
        case Act():
            await (_repeat(PING, writer, 0.05) if step is Act.PING else asyncio.sleep(LEFT_ALONE))
        case Wait(seconds):
            await asyncio.sleep(seconds)
        case Drip(data, size):
            await _drip(data, size, writer)
        case Endless(data, seconds):
            await _repeat(data, writer, seconds)
        case _:
            await _say(step, writer)


async def _drip(data: bytes, size: int, writer: asyncio.StreamWriter) -> None:
    for place in range(0, len(data), size):
        await _say(data[place : place + size], writer)


async def _say(data: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(data)
    await writer.drain()
    await asyncio.sleep(0)


async def _repeat(data: bytes, writer: asyncio.StreamWriter, seconds: float) -> None:
    while True:
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(seconds)


def chunk(data: bytes) -> bytes:
    """A chunk of a body, as HTTP/1.1 frames it."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


PING = chunk(b'event: ping\ndata: {"type": "ping"}\n\n')
END = b"0\r\n\r\n"


def head(status: str = "200 OK", **headers: str) -> bytes:
    """The head of an answer, chunked where nothing else is said."""
    known = {"content_type": "text/event-stream", "request_id": "req_scripted"}
    if "content_length" not in headers:
        known["transfer_encoding"] = "chunked"
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in (known | headers).items() if value]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()
