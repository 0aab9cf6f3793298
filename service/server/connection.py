"""One connection: deadlines for slow senders, a bound on how many there are, and our errors for no HTTP.

Refuses to wait for bytes that do not come: a head has ten seconds, a body thirty, an answer nobody wanted to
hear five. Requests that come before the answer to an earlier one wait for it, few of them.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from service.errors import InvalidRequest
from service.server.exchange import LINES, Exchange
from service.server.hall import Hall
from service.server.head import Head, NoHttp
from service.server.reading import Reading
from service.web.listening import LEAVING
from service.web.problems import alone
from service.web.threshold import CROWDED

HEAD_SECONDS = 10.0
"""For the head of a request, from the connection or its first byte on."""
BODY_SECONDS = 30.0
"""For its body, from the head on."""
LINGER_SECONDS = 5.0
"""For the rest of a body that was answered already: a client hears only when it has done with speaking."""
IDLE_SECONDS = 75
"""Between requests; longer than the proxies before us, so that they close first."""
CROWDED_SECONDS = 2.0
"""For the head where there are too many connections."""
SPARE = 64
"""Connections beyond the bound that are told so; any more are closed without a word."""
MOST_WAITING = 16
"""Requests that may come before the answer to an earlier one; what comes after those is not heard."""
NEVER = float("inf")
HEADING, IDLE = "a head", "nothing"
"""What is waited for."""

TOO_SLOW = f"The body did not come within {BODY_SECONDS:g} s."
NO_HTTP = "This is no HTTP request, or its head is too large."

_log = logging.getLogger("uvicorn.error")


class Connection(asyncio.Protocol):
    """One connection in a hall; made for a server by `connections_in`."""

    hall: Hall
    head_seconds, body_seconds = HEAD_SECONDS, BODY_SECONDS
    linger_seconds, idle_seconds = LINGER_SECONDS, float(IDLE_SECONDS)

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        del app_state
        self._app: Any = config.loaded_app  # pyright: ignore[reportUnknownMemberType] - half of it unused
        self._server = server_state
        self._loop = _loop or asyncio.get_running_loop()
        self.transport = cast("asyncio.Transport", None)
        self.writable: asyncio.Future[None] | None = None
        self._client: tuple[str, int] | None = None
        self._here: tuple[str, int] | None = None
        self._reading = Reading(self)
        self._asking: Exchange | None = None  # whose body is not whole
        self._current: Exchange | None = None  # that is not answered
        self._waiting = deque[Exchange]()
        self._crowded = self._answered = self._paused = self._deaf = self._broken = False
        self._due = NEVER
        self._state: object = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as it is with a stream
        """Take it, or take it only to say that there are too many."""
        self.transport = transport
        self._client, self._here = _address(transport, "peername"), _address(transport, "sockname")
        connections = self._server.connections
        connections.add(self)  # pyright: ignore[reportArgumentType] - uvicorn shuts them down, nothing else
        self.hall.enter(self)
        self._crowded = self.hall.full(len(connections))
        if len(connections) > self.hall.most + SPARE:
            transport.abort()
        else:
            self._expect(HEADING, CROWDED_SECONDS if self._crowded else self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        del exc
        self._server.connections.discard(self)  # pyright: ignore[reportArgumentType] - as above
        self.hall.leave(self)
        self._due = NEVER
        self._waiting.clear()
        self.resume_writing()
        if self._current:
            self._current.lose()

    def data_received(self, data: bytes) -> None:
        """Bytes came; they may be the last for a while."""
        self.hall.idle.pop(self, None)
        if self._deaf:
            return
        try:
            self._reading.feed(data)
        except NoHttp:
            self._refuse()
        self._look()

    def begin(self, head: Head) -> None:
        """A request begins."""
        if self._deaf:
            return
        scope = head.scope(self._client, self._here)
        if self._crowded:
            scope[CROWDED] = True
        exchange = Exchange(self, head, scope, self._loop.time() + self.body_seconds, TOO_SLOW)
        scope[LEAVING] = exchange.on_leaving
        self._asking = exchange
        if self._current:
            self._waiting.append(exchange)
            exchange.keeps = exchange.keeps and len(self._waiting) < MOST_WAITING
        else:
            self._start(exchange)

    def _start(self, exchange: Exchange) -> None:
        self._current = exchange
        task = self._loop.create_task(exchange.run(self._app))
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    def take(self, piece: bytes) -> None:
        """A piece of its body."""
        if self._asking:
            self._asking.take(piece)

    def end(self) -> None:
        """It is whole."""
        if self._asking:
            self._asking.end()
            self._deaf = not self._asking.keeps
            self._asking = None

    def answered(self, exchange: Exchange) -> None:
        """An answer is out; what comes next?"""
        self._current, self._answered, self._state = None, True, None
        if self.transport.is_closing():
            self._look()
            return
        if not exchange.keeps:
            self.transport.close()
        elif self._waiting:
            self._start(self._waiting.popleft())
        elif self._broken:
            self._tell_no_http()
        if not self._waiting:
            self.resume()
        self._look()

    def _refuse(self) -> None:
        """What is no HTTP is told so, where an answer to it is due; where that was a body, nothing can be."""
        _log.warning("Invalid HTTP request received.")
        self._deaf = True
        if self._asking and self._asking in self._waiting:
            self._waiting.remove(self._asking)
            self._asking, self._broken = None, True
        elif self._asking:
            self.transport.close()
        elif self._current:
            self._broken = True
        else:
            self._tell_no_http()

    def _tell_no_http(self) -> None:
        status, headers, body = alone(InvalidRequest(NO_HTTP))
        said = [b"%s: %s\r\n" % each for each in (*headers, (b"connection", b"close"))]
        self.transport.write(b"".join([LINES[status], *self.greeting(), *said, b"\r\n", body]))
        self.transport.close()

    def eof_received(self) -> None:
        """Who speaks no more is taken for gone."""

    def shutdown(self) -> None:
        """The server stops: after what is under way."""
        if self._current:
            self._current.keeps = False
        elif not self.transport.is_closing():
            self.transport.close()

    def close(self) -> None:
        """Close it, where nothing is under way."""
        self.hall.idle.pop(self, None)
        self.transport.close()

    def heed(self, now: float) -> None:
        """Close what is late; a body that somebody waits for is told of first."""
        if now >= self._due:
            self.transport.abort()
        elif self._asking and now >= self._asking.until:
            self._asking.be_late()

    def _look(self) -> None:
        """Wait for what is due next, for as long as that may take."""
        asking = self._asking
        if self.transport.is_closing():
            self._expect(None, NEVER)
        elif asking and not asking.over:
            self._expect(asking, self.body_seconds + 1)
        elif asking:
            self._expect(asking, self.linger_seconds)
        elif self._current:
            self._expect(None, NEVER)
        elif self._reading.heading or not self._answered:
            self._expect(HEADING, self.head_seconds)
        else:
            self._expect(IDLE, self.idle_seconds)
            self.hall.idle[self] = None

    def _expect(self, state: object, seconds: float) -> None:
        """Close it where it is still like that then; what is waited for already is not waited for anew."""
        if state is None or state is not self._state:
            self._due, self._state = self._loop.time() + seconds, state

    def last(self) -> bool:
        """Whether no request may follow the one that is answered now."""
        return self._crowded or self.hall.closing() or bool(self._asking and self._asking.waits)

    def greeting(self) -> Sequence[bytes]:
        """Lines of every answer's head."""
        return self.hall.greeting(self._server.default_headers)

    def pause(self) -> None:
        """Take nothing more."""
        if not self._paused and not self.transport.is_closing():
            self._paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Take more."""
        if self._paused and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        """The client takes too little."""
        self.writable = self.writable or self._loop.create_future()

    def resume_writing(self) -> None:
        """It took enough; or it is gone."""
        if self.writable:
            self.writable.set_result(None)
            self.writable = None


def _address(transport: asyncio.Transport, which: str) -> tuple[str, int] | None:
    """Of a transport's end; None for a local socket."""
    found: Any = transport.get_extra_info(which)
    return (str(found[0]), int(found[1])) if isinstance(found, tuple) else None  # pyright: ignore[reportUnknownArgumentType] - of an address' parts


def connections_in(hall: Hall) -> type[Connection]:
    """The class of a hall's connections, as uvicorn wants it."""
    return type("HallConnection", (Connection,), {"hall": hall})
