"""One request and its answer, as ASGI has them, on a connection of ours.

Refuses an answer that would end its own head early, or is longer or shorter than it says.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Protocol

from service.errors import RequestTimeout
from service.server.head import Head

HIGH_WATER = 64 << 10
"""Bytes of a body that wait to be read; while there are more, none are taken."""
FAILED = b"Internal Server Error"
FAILURE = (
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", str(len(FAILED)).encode()),
    (b"connection", b"close"),
)
DISCONNECT = {"type": "http.disconnect"}
LENGTH, CONNECTION = b"content-length", b"connection"
BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
LINES = {each.value: f"HTTP/1.1 {each.value} {each.phrase}\r\n".encode() for each in HTTPStatus}

_log = logging.getLogger("uvicorn.error")


class Line(Protocol):
    """The connection, as an exchange needs it; `writable` is there while the client takes too little."""

    transport: asyncio.Transport
    writable: asyncio.Future[None] | None

    def greeting(self) -> Sequence[bytes]:
        """Lines of every answer's head."""
        ...

    def pause(self) -> None:
        """Take nothing more."""
        ...

    def resume(self) -> None:
        """Take more."""
        ...

    def last(self) -> bool:
        """Whether no request may follow."""
        ...

    def answered(self, exchange: "Exchange") -> None:
        """An answer is out."""
        ...


class Exchange:
    """A request that is asked and answered. `until` is when its body has to be whole, by the loop's clock."""

    def __init__(self, line: Line, head: Head, scope: dict[str, Any], until: float, too_slow: str) -> None:
        self._line, self.scope, self.until, self._too_slow = line, scope, until, too_slow
        self.keeps, self._http11 = head.keeps, head.version == "1.1"
        self._headless = head.method == b"HEAD"
        self.waits = head.expects
        self.more = True
        self.late = self.gone = self.over = False
        self._pieces: list[bytes] = []
        self._size = 0
        self._told = False
        self._reader: asyncio.Future[None] | None = None
        self._leaving: Callable[[], None] | None = None
        self._begun = self._silent = self._chunked = False
        self._head = b""
        self._left: int | None = None

    async def run(self, app: Any) -> None:
        """Let the application answer."""
        try:
            await app(self.scope, self.receive, self.send)
        except BaseException as error:  # noqa: BLE001 - as uvicorn: whatever it is, the client is told or cut off
            _log.error("Exception in ASGI application\n", exc_info=error)
            await self._fail()
        else:
            if not self.over and not self.gone:
                _log.error("ASGI callable returned without completing response.")
                await self._fail()

    async def _fail(self) -> None:
        if not self._begun:
            await self.send({"type": "http.response.start", "status": 500, "headers": FAILURE})
            await self.send({"type": "http.response.body", "body": FAILED})
        elif not self.over:
            self._line.transport.close()

    def take(self, piece: bytes) -> None:
        """A piece of the body came; what nobody will read is dropped."""
        self.waits = False
        if self.over:
            return
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > HIGH_WATER:
            self._line.pause()
        self._wake()

    def end(self) -> None:
        """The body is whole."""
        self.waits = self.more = False
        self._wake()

    def be_late(self) -> None:
        """The body did not come in time."""
        self.late = True
        self._wake()

    def lose(self) -> None:
        """The client is gone."""
        self.gone = True
        self._wake()
        if self._leaving and not self.over:
            self._leaving()

    def on_leaving(self, leaving: Callable[[], None] | None) -> None:
        """Have it called when the client is gone before it has the answer; at once where it is gone."""
        self._leaving = leaving
        if leaving and self.gone:
            leaving()

    def _wake(self) -> None:
        if self._reader and not self._reader.done():
            self._reader.set_result(None)

    async def receive(self) -> dict[str, Any]:
        """What came of the body since; after its end that the client is gone, or has its answer.

        Raises:
            RequestTimeout: the body is late.
        """
        if self.waits and not self._line.transport.is_closing():
            self.waits = False
            self._line.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not (self.gone or self.over):
            if self._pieces or not (self.more or self._told):
                return self._piece()
            if self.late and self.more:
                raise RequestTimeout(self._too_slow)
            self._line.resume()
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return DISCONNECT

    def _piece(self) -> dict[str, Any]:
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces, self._size, self._told = [], 0, not self.more
        return {"type": "http.request", "body": body, "more_body": self.more}

    async def send(self, message: Any) -> None:
        """Send a part of the answer; where the client takes too little, wait until it does."""
        if (writable := self._line.writable) and not self.gone:
            await asyncio.shield(writable)
        if self.gone:
            return
        if self.over:
            raise RuntimeError("There is nothing to be said after an answer.")
        if message["type"] == "http.response.start" and not self._begun:
            self._begin(message["status"], message.get("headers", ()))
        elif message["type"] == "http.response.body" and self._begun:
            self._go_on(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"This is not the time for {message['type']}.")

    def _begin(self, status: int, headers: Any) -> None:
        self._begun = True
        if self.late or self._line.last():
            self.keeps = False
        lines = [LINES.get(status) or b"HTTP/1.1 %d \r\n" % status, *self._line.greeting()]
        lines += [b"%s: %s\r\n" % each for each in headers if each[0] != CONNECTION]
        said = dict[bytes, bytes](headers)
        self.keeps = self.keeps and b"close" not in said.get(CONNECTION, b"").lower()
        self._left = int(said[LENGTH]) if LENGTH in said else None
        self._frame(lines, silent=self._headless or status in BODILESS)
        head = b"".join(lines)
        if not head.count(b"\n") == head.count(b"\r") == len(lines) or b"\0" in head:
            raise RuntimeError("A header of the answer would end it early.")
        self._head = head + b"\r\n"
        if not self._left:  # else its body comes at once, and leaves with it
            self._write(b"")

    def _frame(self, lines: list[bytes], *, silent: bool) -> None:
        """Say how the body ends: after its length, in chunks, or with the connection."""
        if silent:
            self._silent, self._left = True, 0
        elif self._left is None:
            self._chunked = self._http11
            if self._chunked:
                lines.append(b"transfer-encoding: chunked\r\n")
        if not self.keeps:
            lines.append(b"connection: close\r\n")

    def _go_on(self, body: bytes, *, more: bool) -> None:
        self._write(b"" if self._silent else self._framed(body, more=more))
        if more:
            return
        if self._left:
            raise RuntimeError("The answer is shorter than it says.")
        self.over = True
        self._wake()
        self._line.answered(self)

    def _framed(self, body: bytes, *, more: bool) -> bytes:
        if self._left is not None:
            self._left -= len(body)
            if self._left < 0:
                raise RuntimeError("The answer is longer than it says.")
            return body
        if not self._chunked:
            return body
        chunk = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
        return chunk if more else chunk + b"0\r\n\r\n"

    def _write(self, piece: bytes) -> None:
        if self._head:
            piece, self._head = self._head + piece, b""
        if piece and not self._line.transport.is_closing():
            self._line.transport.write(piece)
