"""All MCP servers of a process: one connection to each, and the tools they have between them.

Refuses to wait for any of them at the start, and to let one of them keep another from ending.
"""

import asyncio
from collections.abc import Sequence

from service.tools.mcp import meters, session
from service.tools.mcp.file import Server
from service.tools.mcp.link import Link
from service.tools.tool import Tool


class Servers:
    """The servers of a file. `tools` is a source for the registry."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self.links = tuple(Link(server) for server in servers)
        self._loading: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to connect to each, once `mcp` is loaded, which takes most of a second."""
        meters.watch(self)
        self._loading = asyncio.create_task(self._begin(), name="mcp")

    async def stop(self) -> None:
        """End every connection, all at once."""
        if self._loading:
            await asyncio.wait((self._loading,))
        await asyncio.gather(*(link.stop() for link in self.links))

    def tools(self) -> Sequence[Tool]:
        """The tools there are; of a server that is away those it had, which fail until it is back."""
        return [tool for link in self.links for tool in link.tools]

    def away(self) -> Sequence[str]:
        """The names of the servers that are not there; why is in the log, which is not for everybody."""
        return [link.server.name for link in self.links if not link.up]

    async def _begin(self) -> None:
        await asyncio.to_thread(session.load)
        for link in self.links:
            link.start()
