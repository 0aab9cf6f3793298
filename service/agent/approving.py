"""Somebody says yes to a tool's call before it is run.

Refuses by silence: where nobody can be asked, nothing that needs a yes is run.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct

from service.agent.channel import Channel
from service.errors import ToolRefused
from service.tools import Errand, Tool
from telemetry.recorder import OpenToolCall


class Wanted(Struct, frozen=True, kw_only=True):
    """A call that waits for a yes: its arguments fit the tool."""

    tool: Tool
    arguments: Mapping[str, Any]
    errand: Errand


class Approving(Protocol):
    """Where a yes is had from."""

    async def ask(self, wanted: Wanted, channel: Channel, draft: OpenToolCall) -> None:
        """Wait for a yes; `channel` hears that it is waited for, `draft` keeps who gave it.

        Raises:
            ToolRefused: it was a no, or none came in time.
        """
        ...


class Nobody:
    """There is nobody to ask."""

    async def ask(self, wanted: Wanted, channel: Channel, draft: OpenToolCall) -> None:
        """Refuse."""
        del channel, draft
        raise ToolRefused(f"The tool {wanted.tool.name} needs somebody's approval; nobody can be asked.")
