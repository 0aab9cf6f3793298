"""One connection to an MCP server, as long as it lasts: what tools it has, and calls of them.

Refuses to sample, to ask people and to show folders for a server; to validate a stranger's results by the
stranger's schema; and to make spans of its own: a call is told by the span of the tool.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.metadata import version
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from opentelemetry import trace

from service.tools.mcp import http, stdio
from service.tools.mcp.file import Server
from service.tools.mcp.listing import Listed, sift

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult

PAGES = 50
"""Pages of a list of tools that are read; a server could go on for ever."""

LIST_SECONDS = 10.0


def load() -> None:
    """Import `mcp`, which takes most of a second, and silence it: we tell what there is to tell."""
    import_module("mcp.client.streamable_http")
    # Its own spans would stand below ours, one more for each call, and be traces of their own for each look.
    own: Any = import_module("mcp.shared._otel")
    own._tracer = trace.NoOpTracer()  # noqa: SLF001 - it has no other switch
    for name in ("mcp", "client"):  # a server could fill our log by what it makes these say
        logging.getLogger(name).setLevel(logging.CRITICAL)


class Watched:
    """What a server says, looked at before `mcp` does: it knows no tool that is wrong among right ones."""

    def __init__(self, stream: Any, session: "Session") -> None:
        self._stream, self._session = stream, session

    @property
    def last_context(self) -> Any:
        """Of HTTP: the context that the message's request was sent in."""
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> Any:
        """The next message."""
        item = await self._stream.receive()
        result = getattr(getattr(item, "message", None), "result", None)
        if isinstance(result, dict) and "tools" in result:
            self._session.refused += sift(cast("dict[str, Any]", result))
        return item

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        import anyio  # noqa: PLC0415 - comes with `mcp`

        try:
            return await self.receive()
        except anyio.EndOfStream:
            self._session.why = "it ended"
            self._session.gone.set()
            raise StopAsyncIteration from None
        except stdio.Garbled as error:
            self._session.why = str(error)
            self._session.gone.set()
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        """Close what is watched."""
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stream.__aexit__(kind, error, trace)


class Session:
    """A connection. `gone` is set when it stands no more, for `why`; `changed` when its tools are others."""

    def __init__(self) -> None:
        self.gone, self.changed = asyncio.Event(), asyncio.Event()
        self.why = ""
        self.refused: list[tuple[str, str]] = []
        self._client: Client | None = None

    @property
    def client(self) -> "Client":
        """The connection itself; only of one that stands."""
        if self._client is None:
            raise RuntimeError("There is no connection yet.")
        return self._client

    @client.setter
    def client(self, client: "Client") -> None:
        self._client = client

    @property
    def protocol(self) -> str:
        """The version of MCP that is spoken."""
        return self.client.session.protocol_version or ""

    async def listed(self) -> Listed:
        """All of its tools, as it has them, and those that are none."""
        from mcp.types import PaginatedRequestParams  # noqa: PLC0415 - heavy, see `load`

        tools: list[Any] = []
        self.refused, cursor = [], None
        async with asyncio.timeout(LIST_SECONDS):
            for _ in range(PAGES):
                page = await self.client.session.list_tools(params=PaginatedRequestParams(cursor=cursor))
                tools += page.tools
                cursor = page.next_cursor
                if not cursor:
                    break
        return Listed(tools=tuple(tools), refused=tuple(self.refused))

    async def call(
        self, name: str, arguments: Mapping[str, Any], leading: Mapping[str, str]
    ) -> "CallToolResult":
        """Call a tool; `leading` goes along in `_meta`, and over HTTP as headers.

        Raises:
            Exception: what `mcp` raises where there is no result.
        """
        from mcp.types import CallToolRequest, CallToolRequestParams, CallToolResult  # noqa: PLC0415 - as above

        http.leading.set(dict(leading))
        fields: dict[str, Any] = {"name": name, "arguments": dict(arguments), "_meta": dict(leading)}
        params = CallToolRequestParams.model_validate(fields)
        # not `call_tool`, which validates the result by the server's own schema, patterns and all
        return await self.client.session.send_request(CallToolRequest(params=params), CallToolResult)

    async def heard(self, message: object) -> None:
        """Something came that is no answer."""
        from mcp.types import ToolListChangedNotification  # noqa: PLC0415 - as above

        if isinstance(message, ToolListChangedNotification):
            self.changed.set()


class _Wire:
    """A transport as `mcp` takes one, with our watch on what comes in."""

    def __init__(self, server: Server, session: Session) -> None:
        self._inner: Any = (http if server.url else stdio).talking(server)
        self._session = session

    async def __aenter__(self) -> tuple[Watched, Any]:
        read, write = await self._inner.__aenter__()
        return Watched(read, self._session), write

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        return await self._inner.__aexit__(kind, error, trace)


@asynccontextmanager
async def connected(server: Server, session: Session) -> AsyncGenerator[Session]:
    """Connect and agree on a version; on the way out end it.

    Args:
        server: Which one.
        session: What the connection is known by; it says why where there is none.

    Raises:
        Exception: whatever `mcp` raises where it does not come to stand.
    """
    from mcp import Client  # noqa: PLC0415 - heavy, see `load`
    from mcp.types import Implementation  # noqa: PLC0415 - as above

    wire: Any = _Wire(server, session)
    ours = Implementation(name="parley", version=version("parley"))
    async with Client(wire, client_info=ours, cache=None, message_handler=session.heard) as client:
        session.client = client
        yield session
