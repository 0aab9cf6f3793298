"""A Messages API that speaks as each question tells it to, and notes when its connection was closed.

Refuses to guess: a question without a way (`[cut]`) or a name (`#12`) is an error of the test.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from tests.harness.model_api import BEGIN, BLOCK, WORDS

HOST = "127.0.0.1"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
BROKEN = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    b'{"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}'
)
END: tuple[dict[str, Any], ...] = (
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 7},
    },
    {"type": "message_stop"},
)
FAILED = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
TOOL = {
    "type": "content_block_start",
    "index": 0,
    "content_block": {"type": "tool_use", "id": "toolu_1", "name": "calculate", "input": {}},
}
ARGUMENTS = {
    "type": "content_block_delta",
    "index": 0,
    "delta": {"type": "input_json_delta", "partial_json": '{"expression": "1+1"}'},
}
WANTED = {**END[1], "delta": {"stop_reason": "tool_use", "stop_sequence": None}}
PIECE = {**WORDS, "delta": {"type": "text_delta", "text": "x" * 262_144}}
PIECES, TOLD = 12, str(WORDS["delta"]["text"])
NAMED = re.compile(r"\[([a-z-]+)\] #([\w-]+)")


class Heard:
    """What became of one question: `closed` has the loop's time at which each connection for it ended."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.closed: list[float] = []
        self.open = 0


class Speaker:
    """The API. `heard` is by the question's name, `open` the number of connections that stand."""

    def __init__(self) -> None:
        self.heard: dict[str, Heard] = {}
        self.open = 0
        self.port = 0

    def of(self, name: str) -> Heard:
        """What became of a question."""
        return self.heard.setdefault(name, Heard())

    @property
    def settings(self) -> dict[str, str]:
        """What makes a service ask here."""
        return {"ANTHROPIC_API_KEY": "spoken", "ANTHROPIC_BASE_URL": f"http://{HOST}:{self.port}"}

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[None]:
        """Answer until the block is left."""
        server = await asyncio.start_server(self._answer, HOST, 0, limit=1 << 20, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        heard = None
        try:
            body = await _body(reader)
            way, name = NAMED.findall(_question(body))[-1]
            heard = self.of(name)
            heard.open += 1
            heard.asked.set()
            await WAYS[way](Line(reader, writer), len(body["messages"]))
        except (OSError, EOFError):
            pass  # whoever asked is gone
        finally:
            writer.close()
            self.open -= 1
            if heard:
                heard.open -= 1
                heard.closed.append(asyncio.get_running_loop().time())


class Line:
    """One question's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def say(self, *events: Mapping[str, Any]) -> None:
        """Say these."""
        for event in events:
            self._writer.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        await self._writer.drain()

    async def begin(self, *events: Mapping[str, Any]) -> None:
        """Begin to answer."""
        self._writer.write(HEAD)
        await self.say(*events)

    async def write(self, raw: bytes) -> None:
        """Say something else."""
        self._writer.write(raw)
        await self._writer.drain()

    async def hold(self) -> None:
        """Say nothing more, until whoever asked leaves."""
        await self._reader.read(1)

    def cut(self) -> None:
        """Be gone."""
        self._writer.transport.abort()


async def _whole(line: Line, _: int) -> None:
    await line.begin(BEGIN, BLOCK, WORDS, *END)


async def _pieces(line: Line, _: int) -> None:
    await line.begin(BEGIN, BLOCK)
    for _number in range(PIECES):
        await line.say(WORDS)
        await asyncio.sleep(0.02)
    await line.say(*END)


async def _mute(line: Line, _: int) -> None:
    await line.hold()


async def _silent(line: Line, _: int) -> None:
    await line.begin(BEGIN)
    await line.hold()


async def _speaking(line: Line, _: int) -> None:
    await line.begin(BEGIN, BLOCK, WORDS)
    await line.hold()


async def _flood(line: Line, _: int) -> None:
    await line.begin(BEGIN, BLOCK)
    while True:
        await line.say(PIECE)


async def _cut(line: Line, _: int) -> None:
    await line.begin(BEGIN, BLOCK, WORDS)
    await asyncio.sleep(0.02)
    line.cut()


async def _error(line: Line, _: int) -> None:
    await line.begin(BEGIN, BLOCK, WORDS, FAILED)


async def _truncated(line: Line, _: int) -> None:
    await line.begin(BEGIN, BLOCK, WORDS)


async def _broken(line: Line, _: int) -> None:
    await line.write(BROKEN)


async def _tool(line: Line, messages: int) -> None:
    if messages > 1:
        await line.hold()
    else:
        await line.begin(BEGIN, TOOL, ARGUMENTS, END[0], WANTED, END[2])


WAYS: Mapping[str, Callable[[Line, int], Awaitable[None]]] = {
    "whole": _whole,
    "pieces": _pieces,
    "mute": _mute,
    "silent": _silent,
    "speaking": _speaking,
    "flood": _flood,
    "cut": _cut,
    "error": _error,
    "truncated": _truncated,
    "broken": _broken,
    "tool": _tool,
}
"""How a question may be answered; each is given the connection, and how many messages were sent."""


async def _body(reader: asyncio.StreamReader) -> Any:
    head = await reader.readuntil(b"\r\n\r\n")
    (length,) = re.findall(rb"(?i)content-length: *(\d+)", head)
    return json.loads(await reader.readexactly(int(length)))


def _question(body: Mapping[str, Any]) -> str:
    """The words of the first message, wherever they are in it."""
    return json.dumps(body["messages"][0], ensure_ascii=False)
