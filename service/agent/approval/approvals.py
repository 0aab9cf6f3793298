"""Approvals of tool calls: asked for, waited for and decided; whoever decides, it is told here alone.

Refuses by silence: without a yes in time nothing is run, nor where the database is away.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from logging import INFO
from typing import Protocol

from service.agent.approval.approving import Verdict, Wanted
from service.agent.approval.lookout import EVERY, Lookout
from service.agent.channel import Channel
from service.agent.events import ApprovalAsked
from service.audit import approval
from service.audit.deed import Doer
from service.audit.row import AuditRow
from service.errors import DatabaseError, ToolRefused
from service.store.approvals import Decided, Decider, Key, Tell, Waiting
from service.store.outage import promptly
from telemetry import log, names
from telemetry.record import Approval, ApprovalDecision, Caller
from telemetry.recorder import OpenToolCall, OpenTurn

PATIENCE = 5.0
"""Seconds that a turn waits for the database to take its question, or to close it."""
STOP_SECONDS = 0.3
"""That a stop waits for questions to be withdrawn."""
MICROS = 1_000_000

WORDS: Mapping[ApprovalDecision, str] = {
    ApprovalDecision.DENY: "The call of {tool} was not approved, and was not run.",
    ApprovalDecision.EXPIRED: "Nobody approved the call of {tool} in time; it was not run.",
    ApprovalDecision.UNASKED: "The tool {tool} needs somebody's approval, and nobody can be asked now.",
}
"""What the model is told; never the reason that somebody gave: it is not theirs to be told to a model."""


class Kept(Protocol):
    """Where calls wait, for every process to see; every method raises DatabaseError."""

    async def ask(self, waiting: Waiting) -> None:
        """Let a call wait."""
        ...

    async def open_to(self, decider: Decider, now: int) -> Sequence[Waiting]:
        """What somebody may decide now."""
        ...

    async def decide(self, key: Key, decider: Decider, decision: str, now: int, tell: Tell | None) -> Waiting:
        """Decide a call, once; raises NotFound, Forbidden or Conflict."""
        ...

    async def expire(self, key: Key, now: int, tell: Tell | None) -> Decided | None:
        """Close a call that nobody decided, and give what became of it."""
        ...

    async def heard(self, turns: Collection[str]) -> Mapping[Key, Decided | None]:
        """What became of these turns' calls so far."""
        ...

    async def withdraw(self, key: Key) -> None:
        """Nobody waits any more."""
        ...


class Approvals:
    """All approvals of this process: `seconds` is how long one is waited for, `clock` gives microseconds.

    Without `audited` a decision leaves no event of its own.
    """

    def __init__(
        self,
        kept: Kept,
        clock: Callable[[], int],
        seconds: float,
        *,
        audited: bool = True,
        every: float = EVERY,
    ) -> None:
        self._kept, self._clock, self._seconds, self._audited = kept, clock, seconds, audited
        self._lookout = Lookout(kept.heard, every)
        self._withdrawals: set[asyncio.Task[None]] = set()

    def of_turn(self, turn: OpenTurn, seconds: float) -> "OfTurn":
        """Where the calls of a turn, which may take so many seconds in all, get their yes from."""
        return OfTurn(self, turn, seconds)

    async def open_to(self, caller: Caller) -> Sequence[Waiting]:
        """What a caller may decide now, the most urgent first; raises DatabaseError."""
        return await self._kept.open_to(_decider(caller), self._clock())

    async def decide(self, key: Key, caller: Caller, verdict: Verdict, doer: Doer) -> Waiting:
        """Decide a call; a turn of this process hears it at once, one of another within a moment.

        Raises:
            NotFound, Forbidden, Conflict: it is not there, not the caller's to decide, or decided already.
            DatabaseError: nobody knows whether it is decided.
        """
        decision = verdict.decision
        tell = partial(_event, doer, decision, verdict.reason) if self._audited else None
        waiting = await self._kept.decide(key, _decider(caller), decision.value, doer.at, tell)
        _say(waiting, decision, doer.at, caller)
        self._lookout.hurry()
        return waiting

    async def put(self, waiting: Waiting) -> None:
        """Let a call wait; raises DatabaseError."""
        async with promptly(PATIENCE):
            await self._kept.ask(waiting)

    async def decided(self, waiting: Waiting) -> Decided | None:
        """Wait until a call is decided, by somebody or by its time; None where it is not there any more.

        Raises:
            DatabaseError: its time is over, and nobody could look what became of it.
        """
        try:
            async with asyncio.timeout(max(0.0, (waiting.expires_at - self._clock()) / MICROS)):
                return await self._lookout.wait(waiting.key)
        except TimeoutError:
            return await self._expired(waiting)

    def withdraw(self, waiting: Waiting) -> None:
        """Nobody waits any more for a call; its turn does not wait for that to be written."""
        task = asyncio.create_task(self._withdraw(waiting), name=f"withdraw {waiting.turn_id}")
        self._withdrawals.add(task)
        task.add_done_callback(self._withdrawals.discard)

    async def close(self) -> None:
        """Look no more; what is to be withdrawn is, in the time there is."""
        if self._withdrawals:
            await asyncio.wait(self._withdrawals, timeout=STOP_SECONDS)
        await self._lookout.close()

    def waiting(self, wanted: Wanted, turn: OpenTurn, seconds: float) -> Waiting:
        """A call as it waits, from now on, at most so many seconds."""
        now, errand = self._clock(), wanted.errand
        return Waiting(
            turn_id=errand.turn_id,
            call_id=errand.call_id,
            user_id=errand.caller.person,
            tenant=errand.caller.tenant,
            tool=wanted.tool.name,
            approvers=wanted.tool.approvers,
            arguments=log.encode(wanted.arguments),
            trace_id=turn.opening.trace_id,
            asked_at=now,
            expires_at=now + round(min(self._seconds, seconds) * MICROS),
        )

    def waited(self, waiting: Waiting) -> int:
        """Milliseconds since a call was asked about."""
        return round((self._clock() - waiting.asked_at) / 1000)

    async def _expired(self, waiting: Waiting) -> Decided | None:
        now = self._clock()
        doer = Doer(caller=None, request_id=waiting.turn_id, trace_id=waiting.trace_id, at=now)
        tell = partial(_event, doer, ApprovalDecision.EXPIRED, None) if self._audited else None
        async with promptly(PATIENCE):
            found = await self._kept.expire(waiting.key, now, tell)
        if found and found.decision == ApprovalDecision.EXPIRED:
            _say(waiting, ApprovalDecision.EXPIRED, now, None)
        return found

    async def _withdraw(self, waiting: Waiting) -> None:
        with suppress(DatabaseError):  # it runs out by itself
            await self._kept.withdraw(waiting.key)


class OfTurn:
    """Where the calls of one turn get their yes from."""

    def __init__(self, approvals: Approvals, turn: OpenTurn, seconds: float) -> None:
        self._approvals, self._turn, self._seconds = approvals, turn, seconds

    async def ask(self, wanted: Wanted, channel: Channel, draft: OpenToolCall) -> None:
        """Wait for a yes; see `service.agent.approval.approving.Approving`."""
        waiting = self._approvals.waiting(wanted, self._turn, self._seconds - self._turn.seconds)
        decided = await self._decided(waiting, wanted, channel)
        decision = ApprovalDecision(decided.decision) if decided else ApprovalDecision.UNASKED
        draft.approved(
            Approval(
                decision=decision,
                decided_by=decided.decided_by if decided else None,
                role=decided.role if decided else None,
                milliseconds=self._approvals.waited(waiting),
            )
        )
        if decision is not ApprovalDecision.APPROVE:
            raise ToolRefused(WORDS[decision].format(tool=wanted.tool.name))

    async def _decided(self, waiting: Waiting, wanted: Wanted, channel: Channel) -> Decided | None:
        """What was decided; None where nobody could be asked."""
        try:
            await self._approvals.put(waiting)
            asked = ApprovalAsked(waiting.call_id, waiting.tool, wanted.arguments, waiting.expires_at)
            await channel.say(asked)
            return await self._approvals.decided(waiting)
        except DatabaseError:
            self._approvals.withdraw(waiting)
            return None
        except BaseException:
            self._approvals.withdraw(waiting)
            raise


def _decider(caller: Caller) -> Decider:
    return Decider(user_id=caller.person, role=caller.role, tenant=caller.tenant, pseudonym=caller.pseudonym)


def _event(doer: Doer, decision: ApprovalDecision, reason: str | None, waiting: Waiting) -> AuditRow:
    took = round((doer.at - waiting.asked_at) / 1000)
    told = waiting.turn_id, waiting.call_id, waiting.tool, decision.value, took
    return approval.decided(doer, *told, reason=reason)


def _say(waiting: Waiting, decision: ApprovalDecision, at: int, caller: Caller | None) -> None:
    """The line of a decision, under whatever request it came with; `turnTraceId` leads to the turn."""
    fields = {
        "userId": caller.user_id if caller else None,
        "role": caller.role if caller else None,
        "decision": decision.value,
        "tool": waiting.tool,
        "turnId": waiting.turn_id,
        "callId": waiting.call_id,
        "turnTraceId": waiting.trace_id,
        "milliseconds": round((at - waiting.asked_at) / 1000),
    }
    log.tell(log.Line(names.APPROVAL_DECIDED, INFO, fields, caller.pseudonym if caller else None))
