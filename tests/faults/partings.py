"""Twenty ways in which a query ends, each as a client and a model's API that play it; what each must leave.

Refuses to look into the service: it is asked over a socket, and answers, or does not.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self

import httpx
from msgspec import Struct

from tests.faults.speaker import PIECES, TOLD, Heard
from tests.harness.chat import ROUTE
from tests.harness.sse import Event, Parser

SECONDS = 60.0
"""Far above what anything here takes."""
ABORT = struct.pack("ii", 1, 0)
"""Lingering for no time makes close() a RST."""
SMALL = 4096
"""Bytes of a receive buffer that fills soon."""

Question = Mapping[str, Any]


class Guest:
    """One raw connection to the service, on which one question is asked."""

    def __init__(self, url: str, key: str, *, buffer: int | None = None) -> None:
        self._url, self._key, self._buffer = httpx.URL(url), key, buffer
        self.received = b""

    async def __aenter__(self) -> Self:
        wire = socket.socket()
        wire.setblocking(False)
        if self._buffer:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer)
        await asyncio.get_running_loop().sock_connect(wire, (self._url.host, self._url.port))
        self._reader, self._writer = await asyncio.open_connection(sock=wire, limit=1 << 20)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def ask(self, question: Question, headers: Mapping[str, str] | None = None) -> None:
        """Ask; `headers` are sent as well."""
        self._send("POST", ROUTE, json=question, headers=headers or {})

    async def resume(self, turn_id: str, after: int) -> None:
        """Ask for the rest of a stream."""
        self._send("GET", f"{ROUTE}/{turn_id}/events", headers={"Last-Event-ID": str(after)})

    async def until(self, marker: bytes) -> None:
        """Read until these bytes have come."""
        async with asyncio.timeout(SECONDS):
            while marker not in self.received:
                piece = await self._reader.read(1 << 16)
                assert piece, f"closed before {marker!r} came; received {self.received!r}"
                self.received += piece

    async def rest(self) -> bytes:
        """Read until the service has closed the connection."""
        async with asyncio.timeout(SECONDS):
            while piece := await self._reader.read(1 << 16):
                self.received += piece
        return self.received

    async def seen_off(self) -> None:
        """Read nothing, and wait until the service has closed the connection all the same."""
        wire = self._writer.get_extra_info("socket")
        async with asyncio.timeout(SECONDS):
            while not wire.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)

    def deafen(self) -> None:
        """Read nothing from here on."""
        self._writer.transport.pause_reading()

    def leave(self, how: str) -> None:
        """Leave: by `fin` or `rst`, or half by `half`, so that an answer could still be read."""
        wire = self._writer.get_extra_info("socket")
        if how == "half":
            self._writer.write_eof()
        elif how == "rst":
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            self._writer.transport.abort()
        else:
            self._writer.write_eof()
            self._writer.close()

    @property
    def events(self) -> list[Event]:
        """The events of a stream, as far as they have come."""
        _, _, body = self.received.partition(b"\r\n\r\n")
        return Parser().feed(_unchunked(body))

    def _send(self, method: str, path: str, **rest: Any) -> None:
        headers = {"authorization": f"Bearer {self._key}", "connection": "close"} | rest.pop("headers", {})
        request = httpx.Request(method, self._url.join(path), headers=headers, **rest)
        lines = [f"{method} {path} HTTP/1.1".encode()]
        lines += [name + b": " + value for name, value in request.headers.raw if name.lower() != b"accept"]
        self._writer.write(b"\r\n".join([*lines, b"", request.read()]))


class Scene(Struct, frozen=True):
    """What a parting is played with: the guest, the question's name, what the model's API heard of it."""

    guest: Guest
    heard: Heard
    again: Callable[[], Guest]
    streamed: bool = True


Play = Callable[[Scene], Awaitable[float | None]]
"""Plays it; the loop's time at which the client left, where that is to be measured."""


class Parting(Struct, frozen=True, kw_only=True):
    """One way to end. `way` is how the API speaks, `outcomes` are what its row may say.

    `patient` is played with a service that waits for lost streams, `small` with a small receive buffer.
    """

    name: str
    way: str
    play: Play
    outcomes: tuple[str, ...] = ("client_gone",)
    streamed: bool = True
    patient: bool = False
    small: bool = False


def leaving(how: str, after: bytes = b"") -> Play:
    """The client leaves once these bytes have come, or once the model was asked."""

    async def play(scene: Scene) -> float:
        async with asyncio.timeout(SECONDS):
            await scene.heard.asked.wait()
        await scene.guest.until(after)
        scene.guest.leave(how)
        left = asyncio.get_running_loop().time()
        if how == "half":
            assert b"event: done" not in await scene.guest.rest()
        return left

    return play


def told(*markers: bytes) -> Play:
    """The client hears it to the end, and that has these bytes."""

    async def play(scene: Scene) -> None:
        received = await scene.guest.rest()
        assert all(marker in received for marker in markers), received

    return play


async def deaf(scene: Scene) -> None:
    """The client reads the head and then nothing."""
    await scene.guest.until(b"event: text")
    scene.guest.deafen()
    await scene.guest.seen_off()


async def between_rounds(scene: Scene) -> float:
    """The client leaves after a tool, while the model is asked again."""
    await scene.guest.until(b'"finished"')
    async with asyncio.timeout(SECONDS):
        while not scene.heard.open or not scene.heard.closed:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    scene.guest.leave("rst")
    return asyncio.get_running_loop().time()


async def at_the_last_event(scene: Scene) -> None:
    """The client leaves when the answer is as good as there."""
    await scene.guest.until(b"event: text")
    scene.guest.leave("rst")


async def come_again(scene: Scene) -> None:
    """The client loses the stream, and hears the rest of it on another connection."""
    await scene.guest.until(b"id: 3\n")
    before = scene.guest.events
    scene.guest.leave("rst")
    async with scene.again() as again:
        await again.resume(before[0].data["id"], int(before[-1].id))
        await again.rest()
        events = [*before, *again.events]
    assert [each.event for each in events] == ["turn", *["text"] * (len(events) - 2), "done"]
    # pieces that come together are told as one
    assert "".join(each.data["text"] for each in events[1:-1]) == TOLD * PIECES
    assert [each.id for each in events] == [str(number + 1) for number in range(len(events))]


async def lose_for_good(scene: Scene) -> None:
    """The client loses the stream, and does not come again."""
    await scene.guest.until(b"event: text")
    scene.guest.leave("fin")


TEXT = b"event: text"
PARTINGS = (
    Parting(name="FIN in mid-stream", way="speaking", play=leaving("fin", TEXT)),
    Parting(name="RST in mid-stream", way="speaking", play=leaving("rst", TEXT)),
    Parting(name="half-close in mid-stream", way="speaking", play=leaving("half", TEXT)),
    Parting(name="reads nothing", way="flood", play=deaf, small=True),
    Parting(name="FIN, upstream silent", way="silent", play=leaving("fin")),
    Parting(name="RST, upstream silent", way="silent", play=leaving("rst")),
    Parting(name="RST, upstream not begun", way="mute", play=leaving("rst")),
    Parting(name="RST between tool and answer", way="tool", play=between_rounds),
    Parting(
        name="RST at the last event",
        way="whole",
        play=at_the_last_event,
        outcomes=("answered", "client_gone"),
    ),
    Parting(name="FIN, JSON", way="silent", play=leaving("fin"), streamed=False),
    Parting(name="RST, JSON", way="speaking", play=leaving("rst"), streamed=False),
    Parting(name="half-close, JSON", way="speaking", play=leaving("half"), streamed=False),
    Parting(name="answered, stream", way="whole", play=told(b"event: done"), outcomes=("answered",)),
    Parting(
        name="answered, JSON",
        way="whole",
        play=told(b'"end_turn"'),
        outcomes=("answered",),
        streamed=False,
    ),
    Parting(name="upstream cut", way="cut", play=told(b"event: error"), outcomes=("failed",)),
    Parting(name="upstream error", way="error", play=told(b"event: error"), outcomes=("failed",)),
    Parting(
        name="upstream truncates, JSON",
        way="truncated",
        play=told(b'"agent_service"'),
        outcomes=("failed",),
        streamed=False,
    ),
    Parting(
        name="our deadline",
        way="speaking",
        play=told(b"event: error", b"turn_timeout"),
        outcomes=("timed_out",),
    ),
    Parting(name="lost and resumed", way="pieces", play=come_again, outcomes=("answered",), patient=True),
    Parting(name="lost for good", way="speaking", play=lose_for_good, patient=True),
)


def _unchunked(body: bytes) -> bytes:
    """The bytes of whole chunks."""
    text = b""
    while True:
        size, found, rest = body.partition(b"\r\n")
        length = int(size, 16) if found else 0
        if not length or len(rest) < length:
            return text
        text, body = text + rest[:length], rest[length + 2 :]
