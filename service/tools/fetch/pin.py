"""One GET of one host at addresses that were checked: the only file that imports httpcore2.

Refuses to look up a name: the connection goes to the addresses it was given, whatever the host is called now;
Host header, SNI and the certificate's name stay the host's. Knows no proxy, no cookie, no credential.
"""

import ssl
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, cast

import httpcore2
from msgspec import Struct

from service.errors import ToolFailed
from service.tools.fetch.addresses import Address
from service.tools.fetch.target import Target

SECONDS = 5.0
"""To connect to one address; of silence, before the answer's first byte and between two."""
MOST_ADDRESSES = 3
"""Addresses of a host that are tried."""
HEADERS = (
    ("user-agent", "parley"),
    ("accept", "text/html, text/*;q=0.9, application/json, application/xml;q=0.8, */*;q=0.1"),
    ("accept-encoding", "gzip"),
    ("connection", "close"),
)

BACKEND = cast("httpcore2.AsyncNetworkBackend", httpcore2.AnyIOBackend())


class Dial(Protocol):
    """How an address is connected to."""

    async def __call__(
        self, address: Address, port: int, seconds: float | None
    ) -> httpcore2.AsyncNetworkStream:
        """A connection; raises httpcore2.ConnectError or ConnectTimeout."""
        ...


async def dial(address: Address, port: int, seconds: float | None) -> httpcore2.AsyncNetworkStream:
    """Connect."""
    return await BACKEND.connect_tcp(str(address), port, seconds)


def trust() -> ssl.SSLContext:
    """The certificate authorities of this machine, as all of its clients trust them."""
    return httpcore2.default_ssl_context()


class Answered(Struct, frozen=True):
    """An answer before its body: header names in lower case, each with its first value."""

    status: int
    headers: dict[str, str]
    pieces: AsyncGenerator[bytes]


class Wire(Struct, frozen=True):
    """How pages are asked for."""

    tls: ssl.SSLContext
    dial: Dial = dial
    seconds: float = SECONDS

    @asynccontextmanager
    async def get(self, target: Target, addresses: Sequence[Address]) -> AsyncGenerator[Answered]:
        """Ask for a target at one of these addresses, the first that is there.

        Raises:
            ToolFailed: nobody answers, or not in HTTP.
        """
        pinned = Pinned(addresses[:MOST_ADDRESSES], target.port, self.dial)
        url = httpcore2.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        headers = [("host", target.authority), *HEADERS]
        times = dict.fromkeys(("connect", "read", "write", "pool"), self.seconds)
        try:
            async with (
                httpcore2.AsyncConnectionPool(ssl_context=self.tls, network_backend=pinned) as pool,
                pool.stream("GET", url, headers=headers, extensions={"timeout": times}) as response,
            ):
                yield Answered(response.status, _first(response.headers), _pieces(response))
        except httpcore2.TimeoutException as error:
            raise ToolFailed(f"{target.host} did not answer in time.") from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            raise ToolFailed(f"{target.host} could not be read from.") from error


class Pinned(httpcore2.AsyncNetworkBackend):
    """Connects to the addresses it was made for, and to nothing else."""

    def __init__(self, addresses: Sequence[Address], port: int, dial: Dial) -> None:
        self._addresses, self._port, self._dial = addresses, port, dial

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's own
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address that is there."""
        del host, port, local_address, socket_options
        failed: Exception = httpcore2.ConnectError("no address")
        for address in self._addresses:
            try:
                return await self._dial(address, self._port, timeout)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed


async def _pieces(response: httpcore2.Response) -> AsyncGenerator[bytes]:
    async for piece in response.aiter_stream():
        yield piece


def _first(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    first: dict[str, str] = {}
    for name, value in headers:
        first.setdefault(name.decode("ascii", "replace").lower(), value.decode("utf-8", "replace").strip())
    return first
