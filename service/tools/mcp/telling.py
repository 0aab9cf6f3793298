"""What the span of a tool says of the server that the tool is of, by OpenTelemetry's conventions for MCP.

Refuses a span of its own: where one of `execute_tool` is there, the conventions want it told on that.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from opentelemetry import trace

from service.tools.mcp.file import Server
from telemetry import names

DEFAULT_PORTS: Mapping[str, int] = {"http": 80, "https": 443}


def called(server: Server, protocol: str) -> None:
    """Write on the current span that a tool of this server is called."""
    span = trace.get_current_span()
    span.set_attributes({names.MCP_METHOD: "tools/call", names.MCP_PROTOCOL: protocol})
    if server.url is None:
        span.set_attribute(names.NETWORK_TRANSPORT, "pipe")
        return
    parts = urlsplit(server.url.reveal())
    span.set_attribute(names.NETWORK_TRANSPORT, "tcp")
    span.set_attribute(names.SERVER_ADDRESS, parts.hostname or "")
    span.set_attribute(names.SERVER_PORT, parts.port or DEFAULT_PORTS.get(parts.scheme, 0))
