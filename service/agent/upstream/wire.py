"""What is read of the API's answers, and how much: import it late, the transport comes with it.

Refuses endless events and answers, and to unpack: a few bytes can be endless memory. Refuses to wait for an
error's body: its status has said it all.
"""

import asyncio
from collections.abc import AsyncGenerator

import httpx2

MAX_EVENT = 4 << 20
"""Bytes of one event."""
MAX_LINES = 10_000
"""Lines of one event; the API's have two, and each more makes the SDK copy the event once more."""
MAX_ANSWER = 256 << 20
"""Bytes of a whole answer: far above what the longest one takes, a token an event."""
MAX_ERROR = 64 << 10
"""Bytes of an error's body."""
ERROR_SECONDS = 1.0
"""That an error's body may take."""
ERROR = 400
ENDS = (b"\n\n", b"\n\r\n", b"\r\r")
PLAIN = {"accept-encoding": "identity"}
"""Asks for what is not compressed."""


class Endless(ValueError):
    """More came than an answer has."""


async def bound(response: httpx2.Response) -> None:
    """A hook of the client: put a bound around the body before anybody reads it."""
    if response.status_code < ERROR:
        response.stream = Answer(response.stream)
    else:
        response.headers.pop("content-encoding", None)  # a body that is not unpacked cannot swell
        response.stream = Error(response.stream)


class Bound:
    """Around a body: how long it, and one event of it, may be."""

    def __init__(self) -> None:
        self._read = self._since = self._lines = 0

    def count(self, piece: bytes) -> None:
        """A piece of it came.

        Raises:
            Endless: it is too long, or one event of it is.
        """
        self._read += len(piece)
        ends = piece.rfind(b"\n\n") if b"\r" not in piece else max(map(piece.rfind, ENDS))
        if ends >= 0:
            self._since = self._lines = 0
        self._since += len(piece) - max(0, ends)
        self._lines += piece.count(b"\n", max(0, ends)) + piece.count(b"\r", max(0, ends))
        if self._read > MAX_ANSWER or self._since > MAX_EVENT or self._lines > MAX_LINES:
            raise Endless("The answer, or one event of it, has no end.")


class Answer(httpx2.AsyncByteStream):
    """A body that raises Endless where it is too long, or one event of it is."""

    def __init__(self, stream: object) -> None:
        assert isinstance(stream, httpx2.AsyncByteStream)  # noqa: S101 - an async client has no other
        self._stream = stream

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        bound = Bound()
        async for piece in self._stream:
            bound.count(piece)
            yield piece

    async def aclose(self) -> None:
        """Close the body."""
        await self._stream.aclose()


class Error(Answer):
    """A body that ends where it is long, late or broken."""

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        pieces, read = self._stream.__aiter__(), 0
        try:
            async with asyncio.timeout(ERROR_SECONDS):
                async for piece in pieces:
                    read += len(piece)
                    if read > MAX_ERROR:
                        return
                    yield piece
        except (TimeoutError, httpx2.TransportError):
            return
