"""One connection to the model's API over asyncio's own protocols: it asks, and gives the answer as it comes.

Refuses to read far ahead of whoever wants it, and bytes that nobody asked for. Import it late: its errors are
those of httpx2, which comes with it.
"""

import asyncio
from collections import deque
from typing import cast

import httptools
import httpx2

KEPT_SECONDS = 5.0
"""That a connection is kept unused: as long as httpx keeps its own."""
MAX_HEAD = 64 << 10
"""Bytes that the head of an answer may have."""
AHEAD = 256 << 10
"""Bytes of an answer that are read before somebody wants them."""
OK = 200
BODILESS = frozenset((204, 304))


class Connection(asyncio.Protocol):
    """One connection: a request, its answer, and then the next. The parser tells it what it reads."""

    def __init__(self) -> None:
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._lost: Exception | None = None
        self._pieces = deque[bytes]()
        self.on_body = self._pieces.append  # a piece of the body; an answer has dozens
        self._parser = httptools.HttpResponseParser(self)
        self._reset()
        self.whole = True

    @property
    def over(self) -> bool:
        """Whether the body came to its end, and was read to it."""
        return self.whole and not self._pieces

    @property
    def usable(self) -> bool:
        """Whether it can take a request; with an answer left unread it may be paused, and hear no other."""
        return (
            self.over
            and self._keeps
            and self._lost is None
            and self._transport is not None
            and not self._transport.is_closing()
        )

    @property
    def fresh(self) -> bool:
        """Whether it can take one, and has not idled for so long that the API may just be closing it."""
        return self.usable and asyncio.get_running_loop().time() - self.idle_since < KEPT_SECONDS

    async def ask(self, request: bytes) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Send a request, and wait for the head of its answer.

        Raises:
            httpx2.TransportError: the connection broke, or what came is no HTTP.
        """
        assert self._transport is not None  # noqa: S101 - it was connected
        self._reset()
        self._transport.write(request)
        while not self.status:
            await self._more()
        return self.status, self.headers

    async def read(self) -> bytes:
        """What came of the body since; nothing where it is whole.

        Raises:
            httpx2.TransportError: as when asking.
        """
        while not self._pieces:
            if self.whole:
                return b""
            await self._more()
        pieces = b"".join(self._pieces)
        self._pieces.clear()
        self._ahead = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return pieces

    def abort(self) -> None:
        """Close it, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Bytes came; any that nobody asked for end the connection."""
        if self.whole:
            self._keeps = False
            self.abort()
            return
        try:
            self._parser.feed_data(data)
            self._bound_head(len(data))
        except httptools.HttpParserError as error:
            self._break(httpx2.RemoteProtocolError(str(error)))
            self.abort()
        self._ahead = self._ahead + len(data) if self._pieces else 0
        if self._ahead > AHEAD and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone; a body without a length ends with it."""
        if self.status and not self._bounded and exc is None:
            self.whole = True
        kind = httpx2.ReadError if exc else httpx2.RemoteProtocolError
        self._break(kind(str(exc) if exc else "The connection was closed before the answer was whole."))
        self._wake()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; or a trailer, which nobody wants."""
        if not self.status:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is whole; one that only announces another is passed over."""
        status = self._parser.get_status_code()
        if status < OK:
            self.headers.clear()
            return
        self.status, self._keeps = status, self._parser.should_keep_alive()
        names = {name for name, _ in self.headers}
        bodiless = status in BODILESS
        self._bounded = bodiless or bool(names & {b"content-length", b"transfer-encoding"})

    def on_message_complete(self) -> None:
        """The answer is whole, unless it was one that only announced it."""
        self.whole = bool(self.status)

    def _bound_head(self, size: int) -> None:
        """Take note of bytes that came before the head was whole."""
        self._heading = 0 if self.status else self._heading + size
        if self._heading > MAX_HEAD:
            raise httptools.HttpParserError("The head has no end.")

    def _reset(self) -> None:
        self.status, self.headers = 0, list[tuple[bytes, bytes]]()
        self.whole = self._bounded = self._paused = False
        self._heading = 0
        self._keeps = True
        self._pieces.clear()
        self._ahead = 0

    def _break(self, error: Exception) -> None:
        self._lost = self._lost or error

    async def _more(self) -> None:
        """Wait until something came."""
        if self._lost is not None:
            raise self._lost
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
