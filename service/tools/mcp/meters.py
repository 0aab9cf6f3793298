"""Which MCP servers are there, as a metric.

Refuses a series of a server that the file does not name.
"""

from collections.abc import Sequence
from typing import Protocol
from weakref import WeakSet

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from service.tools.mcp.link import Link
from telemetry import names


class Servers(Protocol):
    """The servers of a file."""

    links: tuple[Link, ...]
    """One to each."""


_watched: WeakSet[Servers] = WeakSet()


def watch(servers: Servers) -> None:
    """Tell of these as long as they are there."""
    _watched.add(servers)


def _up(options: CallbackOptions) -> Sequence[Observation]:
    del options
    return [
        Observation(int(link.up), {"server": link.server.name})
        for servers in tuple(_watched)[:1]
        for link in servers.links
    ]


metrics.get_meter(names.SCOPE).create_observable_gauge(
    names.MCP_UP, [_up], "", "1 while an MCP server is connected to, else 0"
)
