"""Somebody says yes to a tool's call before it is run.

Refuses by silence: where nobody can be asked, nothing that needs a yes is run.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from service.agent.channel import Channel
from service.audit.deed import Doer
from service.errors import NotFound, ToolRefused
from service.store.approvals import NOT_HERE, Key, Waiting
from service.tools import Errand, Tool
from telemetry.record import ApprovalDecision, Caller
from telemetry.recorder import OpenToolCall, OpenTurn


class Wanted(Struct, frozen=True, kw_only=True):
    """A call that waits for a yes: its arguments fit the tool."""

    tool: Tool
    arguments: Mapping[str, Any]
    errand: Errand


class Verdict(Struct, frozen=True, kw_only=True):
    """What somebody says of a call, and why; the reason is kept like a query, with the event."""

    decision: ApprovalDecision
    reason: str | None = None


class Approving(Protocol):
    """Where a yes is had from."""

    async def ask(self, wanted: Wanted, channel: Channel, draft: OpenToolCall) -> None:
        """Wait for a yes; `channel` hears that it is waited for, `draft` keeps who gave it.

        Raises:
            ToolRefused: it was a no, or none came in time.
        """
        ...


class Approvers(Protocol):
    """Those who may say yes, and how they do."""

    def of_turn(self, turn: OpenTurn, seconds: float) -> Approving:
        """Where a turn, which may take so many seconds in all, gets its yes from."""
        ...

    async def open_to(self, caller: Caller) -> Sequence[Waiting]:
        """What a caller may decide now, the most urgent first; raises DatabaseError."""
        ...

    async def decide(self, key: Key, caller: Caller, verdict: Verdict, doer: Doer) -> Waiting:
        """Decide a call.

        Raises:
            NotFound, Forbidden, Conflict: it is not there, not the caller's to decide, or decided already.
            DatabaseError: nobody knows whether it is decided.
        """
        ...

    async def close(self) -> None:
        """Wait for nobody any more."""
        ...


class Nobody:
    """There is nobody to ask."""

    def of_turn(self, turn: OpenTurn, seconds: float) -> "Nobody":
        """Nobody either."""
        del turn, seconds
        return self

    async def ask(self, wanted: Wanted, channel: Channel, draft: OpenToolCall) -> None:
        """Refuse."""
        del channel, draft
        raise ToolRefused(f"The tool {wanted.tool.name} needs somebody's approval; nobody can be asked.")

    async def open_to(self, caller: Caller) -> Sequence[Waiting]:
        """Nothing."""
        del caller
        return ()

    async def decide(self, key: Key, caller: Caller, verdict: Verdict, doer: Doer) -> Waiting:
        """Refuse."""
        del key, caller, verdict, doer
        raise NotFound(NOT_HERE)

    async def close(self) -> None:
        """Nothing waits."""
