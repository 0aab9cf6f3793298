"""A client and a model's API as plain as HTTP may be: so cheap that a service can be flooded by them.

Refuses what it does not need: answers have a length, and say all at once.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

from msgspec import Struct

CHAT = "/api/v1/agent/chat"
END = b"\r\n\r\n"

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Serves one connection."""


class Heard(Struct, frozen=True):
    """An answer: its status and body, and the seconds until it was whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


class Caller:
    """Asks one server over connections that are kept and used again."""

    def __init__(self, url: str) -> None:
        self._host, _, port = url.removeprefix("http://").partition(":")
        self._port = int(port)
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, key: str, message: str, **more: Any) -> Heard:
        """One question, on the chat route.

        Raises:
            OSError, asyncio.IncompleteReadError: there was no answer.
        """
        body = json.dumps({"message": message, **more}).encode()
        head = (
            f"POST {CHAT} HTTP/1.1\r\nhost: {self._host}\r\nauthorization: Bearer {key}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}"
        )
        return await self.send(head.encode() + END + body)

    async def send(self, request: bytes) -> Heard:
        """A whole request; raises as `ask`."""
        began = time.perf_counter()
        reader, writer = await self._line()
        try:
            writer.write(request)
            status, headers, body = await read(reader)
        except BaseException:
            writer.close()
            raise
        if headers.get("connection") == "close":
            writer.close()
        else:
            self._free.append((reader, writer))
        return Heard(status, headers, body, time.perf_counter() - began)

    def close(self) -> None:
        """Close what is not in use."""
        while self._free:
            self._free.pop()[1].close()

    async def _line(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._free:
            reader, writer = self._free.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()  # it has idled for longer than the server keeps it
        return await asyncio.open_connection(self._host, self._port)


async def read(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """An answer's status, headers and body."""
    first, *lines = (await reader.readuntil(END)).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines if line)
    return int(first.split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


def frames(words: Sequence[str]) -> bytes:
    """The events of one answer of the Messages API."""
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": []}
    usage = {"input_tokens": 7, "output_tokens": 1}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    deltas = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
        for word in words
    ]
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message | {"usage": usage}},
        block,
        *deltas,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ]
    return b"".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events)


@asynccontextmanager
async def model_api(seconds: float, *, speaks: bool = False) -> AsyncGenerator[str]:
    """A model that thinks for so long and answers the same to everybody; its URL.

    One that `speaks` does so first, and thinks in the middle of its answer.
    """
    said = frames(["So ", "it ", "is."])
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {len(said)}\r\n\r\n"
    whole = head.encode() + said
    half = whole.rindex(b"event:", 0, whole.index(b"it ")) if speaks else 0
    parts = whole[:half], whole[half:]
    async with listening(lambda reader, writer: _answer(reader, writer, seconds, parts)) as url:
        yield url


@asynccontextmanager
async def listening(handle: Handle) -> AsyncGenerator[str]:
    """Hand each connection to `handle` for as long as this lasts; nothing is left of them afterwards."""
    tasks = set[asyncio.Task[None]]()

    async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(task := cast("asyncio.Task[None]", asyncio.current_task()))
        await _to_its_end(handle, reader, writer)
        tasks.discard(task)

    server = await asyncio.start_server(handled, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        left = tuple(tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def _to_its_end(handle: Handle, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
        await handle(reader, writer)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float, parts: tuple[bytes, bytes]
) -> None:
    while head := await reader.readuntil(END):
        lines = head.decode("latin-1").lower().split("\r\n")
        length = next(line.split(":")[1] for line in lines if line.startswith("content-length:"))
        await reader.readexactly(int(length))
        writer.write(parts[0])
        await asyncio.sleep(seconds)
        writer.write(parts[1])
