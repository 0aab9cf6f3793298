"""A TCP proxy before a server: refuses connections, is silent, or loses PostgreSQL's answer to COMMIT.

Refuses to understand more of the protocol than that one message.
"""

import asyncio
import threading
from contextlib import suppress
from enum import Enum
from typing import Self

COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
"""The simple query, as it is on the wire."""
PIECE = 65536


class Mode(Enum):
    """What happens to whoever connects, or is connected."""

    PASS = "pass"
    REFUSE = "refuse"
    LOSE_COMMITS = "lose_commits"
    SILENT = "silent"
    """What is sent arrives when the silence is over, as it does behind a network that loses everything."""


class Proxy:
    """Listens on a free port of the loopback, in a thread. A context manager; `mode` may change at any time.

    `lost` counts commits whose answer it kept: the server has done them, the client cannot know.
    """

    def __init__(self, port: int) -> None:
        self.mode, self.lost, self.port = Mode.PASS, 0, 0
        self._server_port = port
        self._loop = asyncio.new_event_loop()
        self._up, self._down = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> Self:
        self._thread.start()
        self._up.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._down.set)
        self._thread.join()
        self._loop.close()

    def through(self, url: str) -> str:
        """The URL of a database of the server, by way of the proxy."""
        return url.replace(f":{self._server_port}/", f":{self.port}/")

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._up.set()
        await self._down.wait()
        server.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode is Mode.REFUSE:
            writer.transport.abort()
            return
        try:
            upstream = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:  # nobody is there: the client shall see that too
            writer.transport.abort()
            return
        lost = asyncio.Event()
        both = (self._ask(reader, upstream[1], lost), self._tell(upstream[0], writer, lost))
        tasks = [asyncio.ensure_future(each) for each in both]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            writer.transport.abort()
            upstream[1].transport.abort()

    async def _ask(
        self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while (piece := await reader.read(PIECE)) and self.mode is not Mode.REFUSE:
                await self._silence()
                if self.mode is Mode.LOSE_COMMITS and piece.endswith(COMMIT):
                    lost.set()
                server.write(piece)

    async def _tell(
        self, server: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while (piece := await server.read(PIECE)) and self.mode is not Mode.REFUSE:
                await self._silence()
                if lost.is_set():
                    self.lost += 1
                    return
                writer.write(piece)

    async def _silence(self) -> None:
        while self.mode is Mode.SILENT:  # noqa: ASYNC110 - set by another thread
            await asyncio.sleep(0.01)
