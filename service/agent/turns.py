"""A turn from admission to its record. It runs in its own task; a response only listens.

Refuses to end twice: the first reason wins, and a second cancel cannot break into the writing of the record.
"""

import asyncio
import traceback
from contextlib import suppress
from functools import partial
from logging import ERROR
from typing import cast

from msgspec import Struct

from service.agent import structure
from service.agent.admission import Admission
from service.agent.agent import Agent
from service.agent.approval.approving import Approvers
from service.agent.asked import Ask
from service.agent.channel import Channel
from service.agent.conversation.memory import Memory
from service.agent.conversation.remembering import remembered
from service.agent.granted import Gate
from service.agent.hold import Settlement
from service.agent.keeping import Keeping, Unkept
from service.agent.loop import converse
from service.agent.places import Places
from service.agent.resuming import Resuming
from service.agent.running import RunningTurn
from service.errors import RateLimited, Refusal, ShutDown, ShuttingDown, TurnTimeout
from service.shares import Shares
from telemetry import log, names
from telemetry.failure import words_of
from telemetry.record import Caller, RateLimit, TurnRecord
from telemetry.recorder import OpenTurn, Recorder

END_SECONDS, SLICE = 0.6, 0.05
"""After the grace, for turns that were ended and what they leave; counted in slices, so that a process that
is kept from the processor does not take its own lateness for theirs."""
LEAD, LEAD_EACH = 0.2, 0.005
"""Seconds before the grace ends at which turns are ended, and more for each: all are told by its end."""


class Terms(Struct, frozen=True, kw_only=True):
    """What every turn of this service is run under. Times are seconds.

    `patience` is how long a stream waits for a client that lost it; 0: not at all. `delay`, which is part of
    the grace, is how long turns are still taken once a stop was asked for, and `places` how many turns may be
    under way.
    """

    system: str
    deadline: float
    grace: float
    delay: float = 0.0
    places: int = 256
    patience: float = 0.0


class Turns:
    """Starts turns and knows those that run."""

    def __init__(
        self,
        recorder: Recorder,
        gate: Gate,
        agent: Agent,
        terms: Terms,
        memory: Memory,
        keeping: Keeping | None = None,
    ) -> None:
        self._recorder, self._gate, self._agent, self._terms = recorder, gate, agent, terms
        self._keeping: Keeping = keeping or Unkept()
        self.memory, self._settlement = memory, Settlement()
        self._admission = Admission(gate, agent, memory, self._keeping, terms.system)
        self._running: dict[asyncio.Task[None], RunningTurn] = {}
        self.resuming = Resuming()
        self.places, self._shares = Places(terms.places), Shares()
        self.leaving = self.stopping = False
        self._delay, self._hurried = min(terms.delay, terms.grace), asyncio.Event()
        self._stop: asyncio.Task[None] | None = None

    def start(self, ask: Ask) -> RunningTurn:
        """Run a turn in a task of its own."""
        running = self._open(ask.turn_id)
        task = asyncio.create_task(self._run(running, ask), name=f"turn {ask.turn_id}")
        self._running[task] = running
        task.add_done_callback(self._running.pop)
        running.begin(task)
        return running

    def _open(self, turn_id: str) -> RunningTurn:
        if not self._terms.patience:
            return RunningTurn(self._gate, Channel(self._keeping.begun))
        channel = Channel(self._keeping.begun, self.resuming)
        given_up = partial(self.resuming.drop, turn_id)
        running = RunningTurn(self._gate, channel, self._terms.patience, given_up)
        self.resuming.begin(turn_id, running)
        return running

    def turn_away(self, turn_id: str, route: str, client_request_id: str | None, why: Refusal) -> TurnRecord:
        """Record a turn that is refused before anything of it was read."""
        with suppress(Refusal), self._recorder.turn(turn_id, route, client_request_id) as turn:
            turn.decided(why.limit if isinstance(why, RateLimited) else None)
            raise why
        return cast("TurnRecord", turn.record)

    async def standing(self, caller: Caller) -> RateLimit | None:
        """How a caller stands with the limits; costs nothing."""
        return await self._gate.peek(caller)

    @property
    def approvers(self) -> Approvers:
        """Those who may say yes to the calls of turns that wait for one."""
        return self._agent.approvers

    @property
    def running(self) -> int:
        """How many turns have begun in this process and have not ended."""
        return len(self._running)

    @property
    def unsettled(self) -> int:
        """What turns that are over left to be written, and wait for the database with."""
        return self._settlement.waiting

    async def stop(self) -> None:
        """Take no new turns, give the running ones their grace, then end them and wait for their records.

        A turn that does not end then is left behind, and named in the log. Stopping twice is stopping once.
        """
        self.leaving = True
        self.stopping = self.stopping or not self._delay
        self._stop = self._stop or asyncio.create_task(self._end(), name="stop")
        await asyncio.shield(self._stop)

    async def _end(self) -> None:
        clock = asyncio.get_running_loop().time
        over = clock() + self._terms.grace
        if self._delay:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurried.wait(), self._delay)
        self.stopping = True
        if self._running:
            lead = min(self._terms.grace / 5, LEAD + LEAD_EACH * len(self._running))
            await asyncio.wait(self._running, timeout=max(0.0, over - lead - clock()))
        self.hurry()
        until = max(clock(), over) + END_SECONDS
        await self._ended(until - clock())
        for task in self._running:
            log.say(names.REQUEST_FAILED, ERROR, error=f"The {task.get_name()} did not end.")
        await self._agent.approvers.close()
        await self._settlement.stop(max(0.1, until - clock()))

    async def _ended(self, seconds: float) -> None:
        for _ in range(round(seconds / SLICE) + 1):
            if self._running:
                await asyncio.wait(self._running, timeout=SLICE)

    def hurry(self) -> None:
        """End the running turns now, whatever is left of their grace."""
        self._hurried.set()
        for running in tuple(self._running.values()):
            running.end(ShutDown("The service is shutting down."))

    async def _run(self, running: RunningTurn, ask: Ask) -> None:
        try:
            await self._to_record(running, ask)
            await running.settle()
            await self._keeping.ended()
            await self._settlement.settle(running.holds, running.answer)
        finally:
            running.finish()
            self.resuming.end(ask.turn_id, running)

    async def _to_record(self, running: RunningTurn, ask: Ask) -> None:
        try:
            with self._recorder.turn(ask.turn_id, ask.route, ask.client_request_id) as turn:
                running.turn = turn
                await self._within_deadline(running, turn, ask)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - the record says what happened
            if running.record is None:
                _say_unrecorded(ask, error)

    async def _within_deadline(self, running: RunningTurn, turn: OpenTurn, ask: Ask) -> None:
        late = TurnTimeout(f"The turn took longer than {self._terms.deadline:g} s.")
        timer = asyncio.get_running_loop().call_later(self._terms.deadline, running.end, late)
        try:
            if running.reason:
                raise running.reason
            if self.stopping:
                raise ShuttingDown("The service is shutting down.", retry_after_ms=1_000)
            await self._shares.turn()
            await self.places.take(ask.whom)
            try:
                await self._converse(running, turn, ask)
            finally:
                self.places.leave(ask.whom)
        finally:
            timer.cancel()

    async def _converse(self, running: RunningTurn, turn: OpenTurn, ask: Ask) -> None:
        prompt, means = await self._admission.admit(running, turn, ask)
        running.shows_thinking = prompt.thinking is not None
        answered = await converse(self._agent, turn, prompt, running.channel, means)
        if prompt.schema is not None:
            running.structured = await structure.fit(prompt.schema, answered, turn.stop_reason)
        running.said = running.asked, *remembered(answered, means.tools)


def _say_unrecorded(ask: Ask, error: BaseException) -> None:
    """The line in place of a record that could not be built."""
    stack = "".join(traceback.format_exception(error))
    log.say(names.REQUEST_FAILED, ERROR, route=ask.route, error=words_of(error), stack=stack)
