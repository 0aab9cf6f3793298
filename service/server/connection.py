"""One connection: uvicorn's, with deadlines for slow senders, a bound on how many there are, and our errors.

Refuses to wait for bytes that do not come: a head has ten seconds, a body thirty, an answer nobody wanted to
hear five. Builds on asyncio's protocol methods, and of uvicorn's own on its app, its h11 connection, the end
of a response and its 400.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol

from service.errors import InvalidRequest, RequestTimeout
from service.web.problems import alone
from service.web.stall import WIRE
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

TOO_SLOW = f"The body did not come within {BODY_SECONDS:g} s."
NO_HTTP = "This is no HTTP request, or its head is too large."


class Hall:
    """All connections of a server: how many there may be, and those that wait for nothing.

    Args:
        most: Bound.
        closing: Whether the service is about to end, so that answers say that their connection does.
    """

    def __init__(self, most: int, closing: Callable[[], bool]) -> None:
        self.most, self.closing = most, closing
        self.idle: dict[Connection, None] = {}

    def full(self, connections: int) -> bool:
        """Whether there are too many; one that idles makes way first, the one that has for longest."""
        if connections > self.most and self.idle:
            next(iter(self.idle)).close()
            connections -= 1
        return connections > self.most


class Connection(H11Protocol):
    """One connection in a hall; made for a server by `connections_in`."""

    hall: Hall
    head_seconds, body_seconds = HEAD_SECONDS, BODY_SECONDS
    linger_seconds, idle_seconds = LINGER_SECONDS, float(IDLE_SECONDS)

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._inner, self.app = self.app, self._pass
        self._crowded = self._answered = False
        self._state: object = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as uvicorn narrows it
        """Take it, or take it only to say that there are too many."""
        super().connection_made(transport)
        count = len(self.connections)
        self._crowded = self.hall.full(count)
        if count > self.hall.most + SPARE:
            transport.abort()
        else:
            self._expect(h11.IDLE, CROWDED_SECONDS if self._crowded else self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self.hall.idle.pop(self, None)
        self._expect(None, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came; they may be the last for a while."""
        self.hall.idle.pop(self, None)
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """An answer is out; what comes next?"""
        super().on_response_complete()
        self._answered = True
        self._state = None
        self._look()

    def shutdown(self) -> None:
        """The server stops; one that is about to close already is left alone."""
        if not self.transport.is_closing():
            super().shutdown()

    def close(self) -> None:
        """Close it, where nothing is under way."""
        self.hall.idle.pop(self, None)
        self.timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is told so in the contract's form, where an answer is due."""
        del msg
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE} or self._inside:
            self.transport.close()
            return
        status, headers, body = alone(InvalidRequest(NO_HTTP))
        pairs = [*self.server_state.default_headers, *headers, CLOSE_HEADER]
        for event in (
            h11.Response(status_code=status, headers=pairs, reason=b"Bad Request"),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    @property
    def _inside(self) -> bool:
        """Whether the application has a request of it, unanswered."""
        return bool(self.cycle) and not self.cycle.response_complete

    def _look(self) -> None:
        """Wait for what is due next, for as long as that may take."""
        state = self.conn.their_state
        if self.transport.is_closing():
            self._expect(None, None)
        elif state is h11.SEND_BODY:
            self._expect(state, self.linger_seconds if not self._inside else self.body_seconds + 1)
        elif state is not h11.IDLE:
            self._expect(state, None)
        elif self.conn.trailing_data[0] or not self._answered:
            self._expect(state, self.head_seconds)
        else:
            self._expect(Connection, self.idle_seconds)
            self.hall.idle[self] = None

    def _expect(self, state: object, seconds: float | None) -> None:
        """Close it where it is still like that then; what is waited for already is not waited for anew."""
        if state is not None and state is self._state:
            return
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._state = state
        if seconds is not None:
            self._timer = self.loop.call_later(seconds, self.transport.abort)

    async def _pass(self, scope: Any, receive: Any, send: Any) -> None:
        """Let the application answer."""
        body = Body(receive, self.loop.time() + self.body_seconds)
        scope[WIRE] = self.transport
        if self._crowded:
            scope[CROWDED] = True

        async def marking(message: Any) -> None:
            if message["type"] == "http.response.start" and (body.late or self._last):
                message["headers"] = [*message["headers"], CLOSE_HEADER]
            await send(message)

        await self._inner(scope, body.receive, marking)

    @property
    def _last(self) -> bool:
        """Whether no request may follow the one that is answered now."""
        return self._crowded or self.hall.closing() or self.conn.they_are_waiting_for_100_continue


class Body:
    """A request's body as it is read: `until` when, by the loop's clock."""

    def __init__(self, receive: Any, until: float) -> None:
        self._receive, self._until = receive, until
        self._whole = self.late = False

    async def receive(self) -> Any:
        """Wait for what comes next; for what comes after the body as long as it takes.

        Raises:
            RequestTimeout: the body is late.
        """
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            self.late = True
            raise RequestTimeout(TOO_SLOW) from None
        self._whole = not message.get("more_body")
        return message


def connections_in(hall: Hall) -> type[Connection]:
    """The class of a hall's connections, as uvicorn wants it."""
    return type("HallConnection", (Connection,), {"hall": hall})
