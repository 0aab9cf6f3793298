"""The tools of the service: those that are on, and to whose roles each is narrowed.

Refuses to start without one that is wanted; roles for a tool that is not there are only told.
"""

from logging import WARNING

from config.settings import Settings
from service.tools import Registry
from service.tools.installed import UnusableTool, load
from telemetry import log, names

NAMESPACE = "__"
"""Stands in the name of a tool that a server brings, which may be there only later."""


def build_tools(settings: Settings) -> Registry:
    """All tools that a caller's model may be offered.

    Raises:
        UnusableTool: one that is wanted is not installed, cannot be used, or has the name of another.
    """
    tools = load(settings)
    roles = settings.tools.roles or {}
    try:
        registry = Registry(tools, roles=roles)
    except ValueError as error:
        raise UnusableTool(f"AGENT_TOOLS: {error}") from error
    there = {tool.name for tool in tools}
    for name in roles:
        if name not in there and NAMESPACE not in name:
            log.say(names.TOOL_UNKNOWN, WARNING, tool=name)
    return registry
