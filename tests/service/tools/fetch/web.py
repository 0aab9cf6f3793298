"""A small web for tests: names with addresses, real servers on loopback that stand for public ones.

Refuses nothing: what may be fetched is the policy's to say, and what was connected to is written down.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any

import httpcore2

from service.errors import ToolFailed
from service.tools.fetch.fetcher import Fetcher
from service.tools.fetch.pin import BACKEND, Wire
from service.tools.fetch.policy import Policy

PUBLIC = "93.184.216.34"
OTHER = "151.101.1.140"
TRUST = ssl.create_default_context()


class Names:
    """A resolver with answers of its own: each name has a list of them, the last one stays.

    Names it does not know are read as the system reads addresses, in all spellings, without asking anybody.
    """

    def __init__(self, answers: Mapping[str, Sequence[Sequence[str]]] | None = None) -> None:
        self._answers = {name: list(each) for name, each in (answers or {}).items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[Any]:
        self.asked.append(host)
        if host in self._answers:
            answers = self._answers[host]
            return [ip_address(each) for each in (answers.pop(0) if len(answers) > 1 else answers[0])]
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except (OSError, UnicodeError):
            return []
        return [ip_address(each[4][0]) for each in found]


class Dialled:
    """Connects where it is told to, or for a public address to the server that stands for it; tells which."""

    def __init__(self, stands_for: Mapping[str, int] | None = None) -> None:
        self._stands_for = stands_for or {}
        self.to: list[tuple[str, int]] = []

    async def __call__(self, address: Any, port: int, seconds: float | None) -> httpcore2.AsyncNetworkStream:
        self.to.append((str(address), port))
        if str(address) in self._stands_for:
            return await BACKEND.connect_tcp("127.0.0.1", self._stands_for[str(address)], seconds)
        if not address.is_loopback:
            raise httpcore2.ConnectError("no test leaves the machine")
        return await BACKEND.connect_tcp(str(address), port, seconds)


class Server:
    """Answers on loopback; `connections` counts who came, `requests` are what they wrote."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.requests: list[str] = []
        self.pages: dict[str, bytes | Callable[[asyncio.StreamWriter], Any]] = {}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.requests.append(request)
            page = self.pages.get(request.split(" ")[1], page_of("a secret", "text/plain"))
            if isinstance(page, bytes):
                writer.write(page)
                await writer.drain()
            else:
                await page(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncGenerator[Server]:
    """A server on both loopbacks and one port."""
    server = Server()
    first = await asyncio.start_server(server._serve, "127.0.0.1", 0, ssl=tls)
    server.port = first.sockets[0].getsockname()[1]
    try:
        second = await asyncio.start_server(server._serve, "::1", server.port, ssl=tls)
    except OSError:  # a machine without IPv6
        second = None
    try:
        yield server
    finally:
        first.close()
        if second:
            second.close()


def page_of(body: str | bytes, kind: str = "text/html", *more: str, status: str = "200 OK") -> bytes:
    """An answer as it goes over the wire."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(content)}", *more]
    return "\r\n".join([*lines, "", ""]).encode() + content


def redirect(location: str, status: int = 302) -> bytes:
    """An answer that leads elsewhere."""
    head = f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    return head.encode("utf-8", "surrogateescape")


def fetcher(names: Names, dialled: Dialled, ports: Sequence[int] = (80, 443), **further: Any) -> Fetcher:
    """A fetcher with doubles for names and wire; the policy is the real one unless another is given."""
    policy = further.pop("policy", None) or Policy(ports=frozenset(ports), hosts=further.pop("hosts", ()))
    tls = further.pop("tls", TRUST)
    wire = Wire(tls, dialled, further.pop("silence", 5.0))
    return Fetcher(policy, names, wire, **further)


async def refusal(one: Fetcher, url: str) -> str | None:
    """What is said where a URL is not fetched; None where it is."""
    try:
        await one.fetch(url)
    except ToolFailed as error:
        return error.detail
    return None
