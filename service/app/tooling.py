"""The tools of the service: those that are on, those of MCP servers, and to whose roles each is narrowed.

Refuses to start without one that is wanted; roles for a tool that is not there are only told.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from logging import WARNING

from config.settings import Settings
from service.app.asked import Kept
from service.tools import Registry
from service.tools.installed import UnusableTool, load
from service.tools.mcp.file import read_servers
from service.tools.mcp.servers import Servers
from service.tools.registry import Source
from telemetry import log, names

STOP_SECONDS = 5.0

NAMESPACE = "__"
"""Stands in the name of a tool that a server brings, which may be there only later."""


def open_servers(
    settings: Settings, rooms: AsyncExitStack, within: Callable[[float], float]
) -> Servers | None:
    """Begin to connect to the MCP servers that are named, until the rooms are left; None: none is.

    `within` says in what time they have to end.

    Raises:
        SettingsError: the file that names them is wrong.
    """
    if not (named := read_servers(settings.mcp_servers, os.environ)):
        return None
    servers = Servers(named)
    servers.start()
    rooms.push_async_callback(_stop, servers, within)
    return servers


async def _stop(servers: Servers, within: Callable[[float], float]) -> None:
    """End them; where the time is over they are killed, with all that they started."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within(STOP_SECONDS)):
            await servers.stop()


def build_tools(settings: Settings, servers: Servers | None = None, kept: Kept | None = None) -> Registry:
    """All tools that a caller's model may be offered; `kept` is what ours may ask.

    Raises:
        UnusableTool: one that is wanted is not installed, cannot be used, or has the name of another.
    """
    tools = kept.equip(load(settings)) if kept else load(settings)
    roles = settings.tools.roles or {}
    sources: Sequence[Source] = (servers.tools,) if servers else ()
    try:
        registry = Registry(tools, sources, roles)
    except ValueError as error:
        raise UnusableTool(f"AGENT_TOOLS: {error}") from error
    there = {tool.name for tool in tools}
    for name in roles:
        if name not in there and NAMESPACE not in name:
            log.say(names.TOOL_UNKNOWN, WARNING, tool=name)
    return registry
