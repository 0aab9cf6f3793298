"""The addresses of a host, asked once, off the loop and within a bounded time.

Refuses to let lookups that hang pile up, or keep the process from ending: their threads die with it.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from threading import Thread

from service.errors import ToolFailed
from service.tools.fetch.addresses import Address

Lookup = Callable[[str, int], Sequence[str]]
"""Host and port -> addresses; blocks; raises OSError or UnicodeError."""
Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
"""Host and port -> every address there is, none where there is no such host; raises ToolFailed."""

SECONDS = 4.0
MOST = 8
"""Lookups under way at a time, those given up included."""


def look_up(host: str, port: int) -> Sequence[str]:
    """Ask the system; names as they are, without the domains that resolv.conf would try after them."""
    absolute = host if _is_address(host) else f"{host}."
    found = socket.getaddrinfo(absolute, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return tuple(dict.fromkeys(str(each[4][0]) for each in found))


class Resolver:
    """Looks up, at most `most` at a time and each for `seconds`."""

    def __init__(self, look_up: Lookup = look_up, seconds: float = SECONDS, most: int = MOST) -> None:
        self._look_up, self._seconds, self._most = look_up, seconds, most
        self._running = 0

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """Every address of a host; raises ToolFailed where nobody answers in time."""
        if self._running >= self._most:
            raise ToolFailed("Too many names are being looked up; try again later.")
        try:
            async with asyncio.timeout(self._seconds):
                found = await self._asked(host, port)
        except TimeoutError as error:
            raise ToolFailed(f"Nobody said in time where {host} is.") from error
        except (OSError, UnicodeError):
            return ()
        return tuple(map(ip_address, found))

    async def _asked(self, host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[str]] = loop.create_future()

        def settle(found: Sequence[str] | BaseException) -> None:
            self._running -= 1
            if answer.done():
                return
            if isinstance(found, BaseException):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        def work() -> None:
            found = _outcome(self._look_up, host, port)
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(settle, found)

        self._running += 1
        Thread(target=work, name="fetch_url-lookup", daemon=True).start()
        return await answer


def _outcome(look_up: Lookup, host: str, port: int) -> Sequence[str] | BaseException:
    try:
        return look_up(host, port)
    except BaseException as error:  # noqa: BLE001 - raised again where somebody waits for it
        return error


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()
