"""Connections to the model's API, kept and used again: a transport of httpx2.

Refuses HTTP/2 and proxies, which httpx's own has, and to bound how long a body may take: who reads it does.
Import it late, httpx2 comes with it.
"""

import asyncio
import ssl
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx2

from service.agent.upstream.connection import Connection

PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int]


def proxied(url: str) -> bool:
    """Whether the environment names a proxy for this address."""
    parts = httpx2.URL(url)
    named = getproxies().keys() & {parts.scheme, "all"}
    return bool(named) and not proxy_bypass(parts.host)


class Body(httpx2.AsyncByteStream):
    """The body of an answer; closing it before its end closes the connection."""

    def __init__(self, connection: Connection, kept: list[Connection]) -> None:
        self._connection, self._kept = connection, kept
        self._open = True

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        while piece := await self.read():
            yield piece

    async def read(self) -> bytes:
        """What came of it since; nothing where it is whole.

        Raises:
            httpx2.TransportError: the connection broke, or what came is no HTTP.
        """
        return await self._connection.read()

    @property
    def over(self) -> bool:
        """Whether all of it was read."""
        return self._connection.over

    async def aclose(self) -> None:
        """Let go of the connection: for the next request, where the answer was read to its end."""
        if not self._open:
            return
        self._open = False
        if self._connection.usable:
            self._connection.idle_since = asyncio.get_running_loop().time()
            self._kept.append(self._connection)
        else:
            self._connection.abort()


class DirectTransport(httpx2.AsyncBaseTransport):
    """Asks over a connection that is kept, or a new one."""

    def __init__(self) -> None:
        self._kept: defaultdict[Origin, list[Connection]] = defaultdict(list)
        self._tls: ssl.SSLContext | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Ask once.

        Raises:
            httpx2.TransportError: whatever went wrong.
        """
        timeout: Mapping[str, Any] = request.extensions.get("timeout", {})
        status, headers, body = await self.ask(
            request.url, _head(request) + await request.aread(), timeout.get("connect")
        )
        return httpx2.Response(status, headers=headers, stream=body, request=request)

    async def ask(
        self, url: httpx2.URL, request: bytes, connect: float | None
    ) -> tuple[int, list[tuple[bytes, bytes]], Body]:
        """The same with bytes that were made already; the body is to be closed."""
        origin = url.scheme, url.host, url.port or PORTS[url.scheme]
        kept = self._kept[origin]
        connection = self._idle(kept) or await self._connect(origin, connect)
        try:
            status, headers = await connection.ask(request)
        except BaseException:
            connection.abort()
            raise
        return status, headers, Body(connection, kept)

    async def aclose(self) -> None:
        """Close what is kept."""
        for kept in self._kept.values():
            while kept:
                kept.pop().abort()

    def _idle(self, kept: list[Connection]) -> Connection | None:
        """The one that was used last, so that those nobody needs grow old; the old are closed."""
        found = None
        while kept and found is None:
            last = kept.pop()
            found = last if last.fresh else None
            if found is None:
                last.abort()
        while kept and not kept[0].fresh:
            kept.pop(0).abort()
        return found

    async def _connect(self, origin: Origin, seconds: float | None) -> Connection:
        scheme, host, port = origin
        tls = self.context() if scheme == "https" else None
        try:
            async with asyncio.timeout(seconds):
                loop = asyncio.get_running_loop()
                _, connection = await loop.create_connection(Connection, host, port, ssl=tls)
        except TimeoutError as error:
            raise httpx2.ConnectTimeout("The connection took too long.") from error
        except OSError as error:
            raise httpx2.ConnectError(str(error)) from error
        return connection

    def context(self) -> ssl.SSLContext:
        """As httpx's own transport has it; made once, which reads the certificates of the authorities."""
        if self._tls is None:
            self._tls = httpx2.create_ssl_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls


def _head(request: httpx2.Request) -> bytes:
    """A request up to its body."""
    lines = [name + b": " + value for name, value in request.headers.raw]
    first = b"%s %s HTTP/1.1" % (request.method.encode(), request.url.raw_path)
    return b"\r\n".join([first, *lines, b"", b""])
