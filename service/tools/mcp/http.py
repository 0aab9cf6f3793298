"""An MCP server at an address: streamable HTTP.

Refuses to hold an answer without end, to follow a redirect to another origin, and to use a proxy or a
password that the environment happens to name.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import httpx2

from service.tools.mcp.file import Server
from service.tools.mcp.stdio import MESSAGE_BYTES

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 300.0
"""How long a stream may be silent; how long a call may take is the call's own affair."""

leading: ContextVar[dict[str, str] | None] = ContextVar("mcp_leading", default=None)
"""Headers by which the server's spans come below ours, of the call that is being sent."""


class TooLong(httpx2.StreamError):
    """An answer is longer than is taken."""


class Bounded(httpx2.AsyncByteStream):
    """The body of an answer, up to a length."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MESSAGE_BYTES
        async for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                raise TooLong(f"The answer is longer than {MESSAGE_BYTES} bytes.")
            yield chunk

    async def aclose(self) -> None:
        """Let go of the connection."""
        await self._stream.aclose()


class Transport(httpx2.AsyncHTTPTransport):
    """HTTP that gives no endless body; of events each is bounded by whoever reads them."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request."""
        request.headers.update(leading.get() or {})
        response = await super().handle_async_request(request)
        if not response.headers.get("content-type", "").lower().startswith("text/event-stream"):
            response.stream = Bounded(response.stream)
        return response


@asynccontextmanager
async def talking(server: Server) -> "AsyncGenerator[TransportStreams]":
    """Be ready to ask the server; whether it is there shows with the first question."""
    from mcp.client.streamable_http import streamable_http_client  # noqa: PLC0415 - heavy, see `session`

    url = server.url.reveal() if server.url else ""
    headers = {name: value.reveal() for name, value in server.headers.items()}
    timeout = httpx2.Timeout(CONNECT_SECONDS, read=SILENCE_SECONDS)
    async with (
        httpx2.AsyncClient(
            transport=Transport(), headers=headers, timeout=timeout, trust_env=False
        ) as client,
        streamable_http_client(url, http_client=client, max_sse_event_size=MESSAGE_BYTES) as streams,
    ):
        yield streams
