"""Asks the Messages API without what the SDK does for each event: its client says once how a request looks.

Refuses to know the API better than the SDK: address and headers are what its own client sends, errors are its
own. Import it late: SDK and transport come with it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anthropic
import httpx2
import msgspec

from service.agent.upstream import wire
from service.agent.upstream.connections import Body, DirectTransport
from service.agent.upstream.frames import Frame, Frames, json_of

EVENTS = {"content-type": "text/event-stream"}
LENGTH = b"content-length"
ERROR = b"error"
EVENTS_OF: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[Any])
SUCCESS = range(200, 300)


class Probe(httpx2.AsyncBaseTransport):
    """Keeps the request that it is given, and answers with an empty stream."""

    request: httpx2.Request | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer."""
        self.request = request
        return httpx2.Response(200, headers=EVENTS, content=b"", request=request)


class Head:
    """What every request of a client begins with: its address, and the bytes of its headers."""

    def __init__(self, request: httpx2.Request) -> None:
        self.request, self.url = request, request.url
        kept = [(name, value) for name, value in request.headers.raw if name.lower() != LENGTH]
        lines = [b"POST %s HTTP/1.1" % request.url.raw_path, *(name + b": " + value for name, value in kept)]
        self._bytes = b"\r\n".join([*lines, LENGTH + b": "])

    def request_of(self, body: bytes, further: Mapping[str, str]) -> bytes:
        """The bytes of a request with this body."""
        more = "".join(f"\r\n{name}: {value}" for name, value in further.items())
        return b"%s%d%s\r\n\r\n%s" % (self._bytes, len(body), more.encode("latin-1"), body)


async def head_of(client: anthropic.AsyncAnthropic, probe: Probe) -> Head:
    """Have an SDK's client over the probe make a request, which is sent to nobody."""
    stream = await client.messages.create(model="any", max_tokens=1, messages=[], stream=True)
    await stream.close()
    assert probe.request is not None  # noqa: S101 - it was asked
    return Head(probe.request)


class Answer:
    """An answer under way; one of the SDK's kind is made of it only where an error needs it."""

    def __init__(self, head: Head, status: int, headers: Sequence[tuple[bytes, bytes]], body: Body) -> None:
        self._head, self.status, self._headers, self._body = head, status, headers, body
        self._frames, self._bound = Frames(), wire.Bound()
        self._wrong: Exception | None = None

    @property
    def over(self) -> bool:
        """Whether its body has ended."""
        return self._body.over

    def header(self, name: str) -> str | None:
        """A header of it."""
        wanted = name.encode()
        found = [value for key, value in self._headers if key == wanted]
        return b", ".join(found).decode("latin-1") if found else None

    async def events(self) -> list[Any]:
        """The data of the next events but pings, as many as came together; none at the end.

        Raises:
            anthropic.APIStatusError: it is an event that says so.
            ValueError: it is no JSON, or has no end.
        """
        while self._wrong is None and (piece := await self._body.read()):
            found = self._frames.of(piece)
            events = self._read(found) if found else ()  # pings and halves are nothing that was said
            self._bound_by(piece)
            if events:
                return [*events]
        if self._wrong:
            raise self._wrong
        return []

    def _read(self, frames: Sequence[Frame]) -> Sequence[Any]:
        """What the frames say; those before one that is wrong, for which what is wrong is raised later."""
        if events := together(frames):
            return events
        told: list[Any] = []
        try:
            for name, data in frames:
                told.append(self._event(name, data))
        except (anthropic.APIStatusError, ValueError) as error:
            self._wrong = error
        return told

    def _event(self, name: bytes, data: bytes) -> Any:
        if name == ERROR:
            raise _error(_response(self._head, self.status, self._headers, self._body), data)
        return json_of(data)

    def _bound_by(self, piece: bytes) -> None:
        """Count it; what is whole before something without an end is told first."""
        try:
            self._bound.count(piece)
        except wire.Endless as error:
            self._wrong = self._wrong or error

    async def aclose(self) -> None:
        """Let go of the connection."""
        await self._body.aclose()


def together(frames: Sequence[Frame]) -> list[Any] | None:
    """What all frames say, read at once; None where one of them is an error, or no JSON."""
    said: list[bytes] = []
    for name, data in frames:
        if name == ERROR:
            return None
        said.append(data)
    try:
        events = EVENTS_OF.decode(b"[%s]" % b",".join(said))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return events if len(events) == len(frames) else None


class DirectAsking:
    """Asks over the transport; `probing` makes a client of the SDK's over another one."""

    def __init__(
        self,
        transport: DirectTransport,
        connect: float,
        probing: Callable[[Probe], anthropic.AsyncAnthropic],
    ) -> None:
        self._transport, self._connect, self._probing = transport, connect, probing
        self._head: Head | None = None
        self._learning = asyncio.Lock()

    async def ask(self, given: Mapping[str, Any], further: Mapping[str, str]) -> Answer:
        """Ask once; the answer is to be closed.

        Raises:
            anthropic.APIStatusError: the API refused.
            httpx2.TransportError: the connection failed.
        """
        head = self._head or await self._learned()
        asked = head.request_of(msgspec.json.encode({**given, "stream": True}), further)
        status, headers, body = await self._transport.ask(head.url, asked, self._connect)
        if status in SUCCESS:
            return Answer(head, status, headers, body)
        response = _response(head, status, headers, body)
        await wire.bound(response)
        try:
            raise _error(response, await response.aread())
        finally:
            await response.aclose()

    async def _learned(self) -> Head:
        """Learn once how a request looks, however many ask first."""
        async with self._learning:
            if self._head is None:
                probe = Probe()
                self._head = await head_of(self._probing(probe), probe)
            return self._head


def _response(head: Head, status: int, headers: Sequence[tuple[bytes, bytes]], body: Body) -> httpx2.Response:
    return httpx2.Response(status, headers=list(headers), stream=body, request=head.request)


def _error(response: httpx2.Response, data: bytes) -> anthropic.APIStatusError:
    """The SDK's error of a body or an event."""
    try:
        body = json_of(data)
    except ValueError:
        body = data.decode(errors="replace")
    return anthropic.APIStatusError(f"Status {response.status_code}", response=response, body=body)
