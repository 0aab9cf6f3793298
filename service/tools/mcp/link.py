"""One MCP server over time: connected, lost, connected again; its tools as they are now.

Refuses to make anybody wait for a server that is not there longer than one attempt, and to try one more often
than twice a second. All of a connection lives in one task, as its groups of tasks have to; calls come in
from anywhere.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from logging import WARNING
from typing import Any, cast

import anyio
from msgspec import Struct

from service.errors import ToolBroken, ToolFailed
from service.tools.mcp.file import Server
from service.tools.mcp.listing import Refused, Taken, differences, printable, take
from service.tools.mcp.result import text_of
from service.tools.mcp.session import Session, connected
from service.tools.mcp.stdio import Unstartable
from service.tools.mcp.telling import called
from service.tools.tool import Errand, Tool
from telemetry import log, names
from telemetry.spans import leading_here

SHORTEST, LONGEST = 0.5, 60.0
"""Seconds between two attempts; each wait is twice the one before."""

STEADY = 10.0
"""Seconds after which a connection counts as one that held: the waits begin anew."""

LOOK = 60.0
"""Seconds between two looks at the tools: the only way to see that an address answers no more."""

PAUSE = 1.0
"""The shortest time between two looks; a server could say without end that its tools changed."""

SHOWN = 20
"""How many names a line has."""

REASON = 200


class Reason(Struct, frozen=True):
    """Why a server is not there: in our words, and in those of others, which leave no house."""

    words: str
    error: str | None = None


class Link:
    """What there is of one server, from `start` to `stop`; its tools are there from the first list on."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.tools: Sequence[Tool] = ()
        self.why = Reason("it is being connected to")
        self._session: Session | None = None
        self._scope, self._task = anyio.CancelScope(), None
        self._wanted, self._turned = asyncio.Event(), asyncio.Event()
        self._wait, self._listed, self._missed = SHORTEST, False, False

    @property
    def up(self) -> bool:
        """Whether it is connected to."""
        return self._session is not None

    def start(self) -> None:
        """Begin to connect; nobody waits for it."""
        self._task = asyncio.create_task(self._keep(), name=f"mcp-{self.server.name}")

    async def stop(self) -> None:
        """End the connection, and its program."""
        self._scope.cancel()
        if self._task:
            await asyncio.wait((self._task,))

    async def _keep(self) -> None:
        with self._scope:
            while True:
                began = asyncio.get_running_loop().time()
                self._lose(await self._connected())
                if asyncio.get_running_loop().time() - began > STEADY:
                    self._wait = SHORTEST
                await self._rest()

    async def _rest(self) -> None:
        """Wait for the next attempt: its time, or somebody who needs the server now."""
        self._wanted.clear()
        await asyncio.sleep(SHORTEST)
        with anyio.move_on_after(self._wait - SHORTEST):
            await self._wanted.wait()
        self._wait = min(self._wait * 2, LONGEST)

    async def _connected(self) -> Reason:
        """Connect and stay so; returns why it ended."""
        now, session = asyncio.get_running_loop().time(), Session()
        with anyio.CancelScope(deadline=now + self.server.seconds) as patience:
            try:
                async with connected(self.server, session):
                    await self._look(session)
                    patience.deadline = math.inf
                    await self._attend(session)
                    return Reason(session.why)
            except Exception as error:  # noqa: BLE001 - whatever a stranger brings about ends no more than this
                return Reason(session.why) if session.why else _reason(error)
        return Reason(f"it was not ready within {self.server.seconds:g} s")

    async def _attend(self, session: Session) -> None:
        """Look again at the tools whenever they may be others, until the connection is gone."""
        while not session.gone.is_set():
            await asyncio.sleep(PAUSE)
            with anyio.move_on_after(LOOK):
                await _either(session.changed, session.gone)
            session.changed.clear()
            if not session.gone.is_set():
                await self._look(session)

    async def _look(self, session: Session) -> None:
        listed = await session.listed()
        self._take(session, take(self.server, listed, self._call))

    def _take(self, session: Session, taken: Taken) -> None:
        before, self.tools = self.tools, taken.tools
        if self._session is not session:
            self._session, self._missed = session, False
            protocol = printable(session.protocol, 40)
            log.say(names.MCP_CONNECTED, server=self.server.name, tools=len(self.tools), protocol=protocol)
            self._refuse(taken.refused)
            self._turn()
        self._compare(before, taken.refused)

    def _compare(self, before: Sequence[Tool], refused: Sequence[Refused]) -> None:
        """Tell that a server describes its tools otherwise than it did when they were first looked at."""
        changes = differences(before, self.tools)
        if self._listed and any(changes.values()):
            shown: Mapping[str, Any] = {kind: list(found)[:SHOWN] for kind, found in changes.items()}
            log.say(names.MCP_TOOLS_CHANGED, WARNING, server=self.server.name, **shown)
            self._refuse(refused)
        self._listed = True

    def _refuse(self, refused: Sequence[Refused]) -> None:
        if refused:
            shown = [{"tool": name, "reason": printable(why, REASON)} for name, why in refused[:SHOWN]]
            log.say(
                names.MCP_TOOLS_REFUSED, WARNING, server=self.server.name, count=len(refused), tools=shown
            )

    def _lose(self, why: Reason) -> None:
        """It is away; told once, not with every attempt that fails."""
        self._session, self.why = None, why
        self._turn()
        if not self._missed:
            log.say(names.MCP_LOST, WARNING, server=self.server.name, reason=why.words, error=why.error)
        self._missed = True

    def _turn(self) -> None:
        """Wake whoever waits for it to come or not to come."""
        self._turned.set()
        self._turned = asyncio.Event()

    async def _here(self) -> Session:
        """The connection; of one that is lost the next attempt is made now, and its end is waited for."""
        if self._session is None:
            self._wanted.set()
            with anyio.move_on_after(self.server.seconds):
                await self._turned.wait()
        if self._session is None:
            raise ToolBroken(f"The server {self.server.name} is not there.")
        return self._session

    async def _call(self, name: str, arguments: Any, errand: Errand) -> str:
        """Run one of its tools; see `Run`."""
        del errand
        session = await self._here()
        called(self.server, session.protocol)
        task = asyncio.create_task(session.call(name, arguments, leading_here()))
        gone = asyncio.create_task(session.gone.wait())
        try:
            await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ToolBroken(f"The server {self.server.name} is not there any more.")
            return self._result(session, task)
        finally:
            gone.cancel()
            task.cancel()  # nobody waits for its end: a server that does not listen would keep the turn

    def _result(self, session: Session, task: "asyncio.Task[Any]") -> str:
        """What a call gave; an error of the protocol may mean that the session is none any more."""
        try:
            return text_of(task.result(), self.server.name)
        except ToolFailed:
            raise
        except Exception as error:
            session.changed.set()
            if session.gone.is_set():
                raise ToolBroken(f"The server {self.server.name} is not there any more.") from error
            said = printable(" ".join(str(error).split()), REASON)
            if type(error).__name__ != "MCPError":
                said = "its answer is none of MCP"
            raise ToolBroken(f"The server {self.server.name} gave no result: {said}.") from error


async def _either(*events: asyncio.Event) -> None:
    """Wait for the first of them."""
    tasks = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _reason(error: BaseException) -> Reason:
    """Why there is no connection; of a foreign error its kind alone, as it may hold an address or a key."""
    inner: Any = error
    while isinstance(inner, BaseExceptionGroup):
        inner = cast("Any", inner).exceptions[0]
    if isinstance(inner, Unstartable):
        return Reason(printable(str(inner), REASON))
    if type(inner).__name__ == "MCPError":
        return Reason("it refused", printable(" ".join(str(inner).split()), REASON))
    return Reason(f"there was a {type(inner).__name__}")
