"""Sends one response by ASGI's messages, whole or piece by piece.

Refuses to decide anything: status, headers and bytes are the caller's.
"""

from collections.abc import Mapping

from litestar.types import Send

from service.web import sse

JSON = {"content-type": "application/json"}
STREAM = {"content-type": sse.MEDIA_TYPE, "x-accel-buffering": "no"}


class Reply:
    """One response."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """All of it."""
        await self.begin(status, {**headers, "content-length": str(len(body))})
        await self.end(body)

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Its head."""
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def more(self, body: bytes) -> None:
        """A piece of it."""
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self, body: bytes) -> None:
        """Its last piece."""
        await self._send({"type": "http.response.body", "body": body, "more_body": False})
