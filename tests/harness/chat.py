"""A client of the chat route: one question, a stream of events, and every way to hang up.

Refuses to repair anything: no retries, no redirects, no proxy; what the service sent is what is told.
"""

import json
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from enum import Enum
from typing import Any, Protocol, Self

import httpx

from tests.harness.sse import Event, Parser
from tests.harness.waiting import PATIENCE

ROUTE = "/api/v1/agent/chat"
PIECE = 65536


class Reachable(Protocol):
    """What is asked: a running service, or anything with its address and a key."""

    url: str

    @property
    def api_key(self) -> str:
        """The credential sent where the test gives none."""
        ...


class Farewell(Enum):
    """How a client leaves: FIN as a program that ends, RST as one whose network or machine is gone."""

    FIN = "fin"
    RST = "rst"


def ask(
    service: Reachable,
    message: str,
    *,
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
    **extra: Any,
) -> httpx.Response:
    """Ask one question and wait for the whole answer, of any status.

    Args:
        service: who is asked.
        message: the question.
        key: the credential; None for the service's own key, empty for none.
        headers: sent as well, and before the credential: an `Authorization` here wins.
        extra: further fields of the body, such as `conversationId`.
    """
    with _client(service, key, headers) as client:
        return client.post(ROUTE, json={"message": message, **extra})


def stream(
    service: Reachable,
    message: str,
    *,
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
    **extra: Any,
) -> "Stream":
    """Ask for an answer as a stream; arguments as for `ask`. The status is there when this returns."""
    return Stream(_client(service, key, headers), {"message": message, "stream": True, **extra})


def resume(
    service: Reachable,
    turn_id: str,
    after: int | str | None = None,
    *,
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> "Stream":
    """Go on with a turn's stream after the event of this id; None asks for all of it."""
    last = {} if after is None else {"Last-Event-ID": str(after)}
    return Stream(_client(service, key, last | dict(headers or {})), None, f"{ROUTE}/{turn_id}/events")


class Stream:
    """One answer as it arrives: iterate for its events. A context manager; leaving closes the connection.

    `response` is httpx's. `events` are those read so far, `comments` every comment read so far. Where the
    status is not 200 there are no events, and `problem()` is the body.
    """

    def __init__(self, client: httpx.Client, body: Mapping[str, Any] | None, route: str = ROUTE) -> None:
        self.events: list[Event] = []
        self._parser = Parser()
        with ExitStack() as opened:
            opened.enter_context(client)
            self.response = opened.enter_context(client.stream("POST" if body else "GET", route, json=body))
            self._opened = opened.pop_all()
        self._pieces = self.response.iter_bytes()
        self._told = (
            self._tell()
        )  # one for all who read: events that came together are told by whoever is next

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Event]:
        """Tell each event as soon as it is complete, until the service ends the stream."""
        return self._told

    def _tell(self) -> Iterator[Event]:
        for piece in self._pieces:
            for event in self._parser.feed(piece):
                self.events.append(event)
                yield event

    @property
    def comments(self) -> list[str]:
        """Every comment read so far."""
        return self._parser.comments

    def until(self, name: str) -> Event:
        """Read on to the next event of this name and return it."""
        for event in self:
            if event.event == name:
                return event
        raise AssertionError(f"the stream ended without {name!r}; it had {self.events}")

    def rest(self) -> list[Event]:
        """Read on to the end and return every event of the stream."""
        for _ in self:
            pass
        return self.events

    def problem(self) -> Any:
        """The body of a refusal, as JSON."""
        return json.loads(b"".join(self._pieces))

    def close(self) -> None:
        """Leave, at the end or early; a second call does nothing."""
        self._opened.close()


class Line:
    """A raw connection with one question sent on it, for hanging up at a chosen moment.

    `received` is all that came back: head and body, with HTTP's own framing. A context manager.
    """

    def __init__(
        self, service: Reachable, message: str, *, key: str | None = None, stream: bool = True, **extra: Any
    ) -> None:
        self.received = b""
        with _client(service, key, None) as client:
            asked = client.build_request("POST", ROUTE, json={"message": message, "stream": stream, **extra})
        self._socket = socket.create_connection((asked.url.host, asked.url.port), timeout=PATIENCE)
        self._socket.sendall(_bytes(asked))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def read_until(self, marker: bytes) -> bytes:
        """Read until these bytes have come, and return all that came.

        Raises:
            AssertionError: the service closed the connection before.
            TimeoutError: nothing came for 30 s.
        """
        while marker not in self.received:
            piece = self._socket.recv(PIECE)
            assert piece, f"closed before {marker!r} came; received {self.received!r}"
            self.received += piece
        return self.received

    def header(self, name: str) -> str:
        """A header of the answer; its head must have been read."""
        head, _, _ = self.received.partition(b"\r\n\r\n")
        pairs = (line.partition(b":") for line in head.split(b"\r\n")[1:])
        return {key.lower(): value.strip() for key, _, value in pairs}[name.lower().encode()].decode()

    def hang_up(self, how: Farewell) -> None:
        """Leave without waiting for anything."""
        if how is Farewell.RST:
            # Lingering for no time makes close() abort the connection.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self._drain()
        self._socket.close()

    def _drain(self) -> None:
        # Closing with unread bytes sends a RST: the FIN goes first, and what has come is read.
        self._socket.shutdown(socket.SHUT_WR)
        self._socket.setblocking(False)
        try:
            while piece := self._socket.recv(PIECE):
                self.received += piece
        except (BlockingIOError, ConnectionResetError):
            return


def hang_up(
    service: Reachable, message: str, how: Farewell, *, after: bytes = b"event: text", **extra: Any
) -> Line:
    """Ask for a stream, read until `after` has come, and leave; the closed line tells what was received.

    With an empty `after` the client leaves as soon as the question is sent; with RST the service may then
    never have read it.
    """
    with Line(service, message, **extra) as line:
        line.read_until(after)
        line.hang_up(how)
    return line


def _client(service: Reachable, key: str | None, headers: Mapping[str, str] | None) -> httpx.Client:
    credential = service.api_key if key is None else key
    bearer = {"Authorization": f"Bearer {credential}"} if credential else {}
    # The machine's proxies are not for loopback.
    return httpx.Client(
        base_url=service.url, headers=bearer | dict(headers or {}), timeout=PATIENCE, trust_env=False
    )


def _bytes(request: httpx.Request) -> bytes:
    lines = [f"{request.method} {request.url.raw_path.decode()} HTTP/1.1".encode()]
    lines += [name + b": " + value for name, value in request.headers.raw]
    return b"\r\n".join([*lines, b"", request.read()])
