"""A proxy before several servers, as they stand before real ones: asks who is ready, and gives each its turn.

Keeps connections to the servers and uses them again. Refuses to send a request twice where it may have been
heard: another server is asked only where nothing was sent, or the answer was that the service shuts down.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from tests.harness.plain import END, Caller, Heard, listening

LOOK_SECONDS = 0.1
READY = b"GET /health/ready HTTP/1.1\r\nhost: proxy\r\n\r\n"
AWAY = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"
GONE = (OSError, asyncio.IncompleteReadError)


class Balancer:
    """Servers by URL; `again` counts requests that the first server did not answer, by why."""

    def __init__(self) -> None:
        self._callers: dict[str, Caller] = {}
        self._ready: list[str] = []
        self._turn = 0
        self.again: Counter[str] = Counter()
        self.url = ""

    def add(self, url: str) -> None:
        """One more server; it is asked from when it is ready on."""
        self._callers[url] = Caller(url)

    def ready(self, url: str) -> bool:
        """Whether a server was ready when it was looked at last."""
        return url in self._ready

    def remove(self, url: str) -> None:
        """One that is there no more."""
        self._callers.pop(url).close()
        self._ready = [each for each in self._ready if each != url]

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Balancer"]:
        """Be there for as long as this lasts."""
        async with listening(self._serve) as self.url:
            looking = asyncio.create_task(self._look_on())
            try:
                yield self
            finally:
                looking.cancel()
                await asyncio.wait((looking,))
        for caller in self._callers.values():
            caller.close()

    async def _look_on(self) -> None:
        while True:
            for url in tuple(self._callers):
                await self._look(url)
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, url: str) -> None:
        looking = Caller(url)  # a connection of its own: what is kept is for requests
        ready = False
        with suppress(*GONE):
            ready = (await looking.send(READY)).status == 200
        looking.close()
        others = [each for each in self._ready if each != url]
        self._ready = [*others, url] if ready and url in self._callers else others

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(END)
            lines = head.decode("latin-1").lower().split("\r\n")
            length = next((line.split(":")[1] for line in lines if line.startswith("content-length:")), 0)
            writer.write(await self._ask(head + await reader.readexactly(int(length))))

    async def _ask(self, request: bytes) -> bytes:
        for _ in range(2 * len(self._callers)):
            if not self._ready:
                break
            self._turn += 1
            url = self._ready[self._turn % len(self._ready)]
            try:
                heard = await self._callers[url].send(request)
            except ConnectionRefusedError:  # nobody was there to hear it
                self.again["refused"] += 1
                self._ready.remove(url)
                continue
            except GONE:
                self.again["lost"] += 1
                return AWAY
            if not _shuts_down(heard):
                return _whole(heard)
            self.again["shutting_down"] += 1
            self._ready = [each for each in self._ready if each != url]
        self.again["nobody"] += 1
        return AWAY


def _shuts_down(heard: Heard) -> bool:
    return heard.status == 503 and b'"shutting_down"' in heard.body


def _whole(heard: Heard) -> bytes:
    kept = {name: value for name, value in heard.headers.items() if name != "connection"}
    lines = [f"HTTP/1.1 {heard.status} Said", *(f"{name}: {value}" for name, value in kept.items())]
    return "\r\n".join(lines).encode() + END + heard.body
