"""A turn from admission to its record. It runs in its own task; a response only listens.

Refuses to end twice: the first reason wins, and a second cancel cannot break into the writing of the record.
"""

import asyncio
from typing import Protocol

from msgspec import Struct

from service.agent.channel import Channel
from service.agent.events import Event
from service.agent.loop import Agent, converse
from service.agent.model import Prompt
from service.errors import ClientGone, RateLimited, ServiceError, ShutDown, ShuttingDown, TurnTimeout
from telemetry.record import Caller, Decision, RateLimit, TurnRecord
from telemetry.recorder import OpenTurn, Recorder


class Question(Struct, frozen=True, kw_only=True):
    """What a caller asks, decoded and valid."""

    message: str
    conversation_id: str
    model: str
    max_tokens: int
    streamed: bool


class Ask(Protocol):
    """A request, before anything of it is believed."""

    turn_id: str
    route: str
    client_request_id: str | None

    async def caller(self) -> Caller:
        """Who asks; raises Unauthenticated, Forbidden or DatabaseError."""
        ...

    def question(self) -> Question:
        """What is asked; raises the Refusal that fits."""
        ...


class Gate(Protocol):
    """The limiter, with its mode and the roles' numbers applied; None where limits are off."""

    def admit(self, caller: Caller) -> RateLimit | None:
        """Decide, and count the request where it is admitted."""
        ...

    def peek(self, caller: Caller) -> RateLimit | None:
        """Say how the caller stands; costs nothing."""
        ...


class Terms(Struct, frozen=True, kw_only=True):
    """What every turn of this service is run under. Times are seconds."""

    system: str
    deadline: float
    grace: float


class RunningTurn:
    """A turn under way: listen to it, or leave it."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._task: asyncio.Task[None] | None = None
        self.channel = Channel()
        self.turn: OpenTurn | None = None
        self.reason: BaseException | None = None

    def begin(self, task: asyncio.Task[None]) -> None:
        """The task that runs it exists."""
        self._task = task

    def end(self, reason: BaseException) -> None:
        """Make it end for this reason, at once; does nothing when it ends already."""
        if self.reason is None and self.record is None:
            self.reason = reason
            if self.turn and self._task:  # before that, the turn looks at the reason when it opens
                self.turn.reason = reason
                self._task.cancel()

    def leave(self) -> None:
        """The listener goes; a turn still running ends as `client_gone`."""
        self.end(ClientGone())
        self.channel.leave()

    async def hear(self) -> Event | None:
        """What is said next; None when the turn is over."""
        return await self.channel.hear()

    async def ended(self) -> TurnRecord:
        """Wait for the record; the wait may be cancelled, the turn is not."""
        if self._task:
            await asyncio.wait((self._task,))
        if self.record is None:
            raise ServiceError("The turn left no record.")
        return self.record

    @property
    def record(self) -> TurnRecord | None:
        """The record, once the turn is over."""
        return self.turn.record if self.turn else None

    @property
    def streamed(self) -> bool:
        """Whether the caller wants a stream, as far as that is known."""
        return self.turn is not None and self.turn.opening.streamed

    @property
    def standing(self) -> RateLimit | None:
        """How the caller stands with the limiter; None for a caller nobody knows, or without limits."""
        if not self.turn or not self.turn.opening.caller:
            return None
        return self.turn.opening.rate_limit or self._gate.peek(self.turn.opening.caller)


class Turns:
    """Starts turns and knows those that run."""

    def __init__(self, recorder: Recorder, gate: Gate, agent: Agent, terms: Terms) -> None:
        self._recorder, self._gate, self._agent, self._terms = recorder, gate, agent, terms
        self._running: dict[asyncio.Task[None], RunningTurn] = {}
        self.stopping = False

    def start(self, ask: Ask) -> RunningTurn:
        """Run a turn in a task of its own."""
        running = RunningTurn(self._gate)
        task = asyncio.create_task(self._run(running, ask), name=f"turn {ask.turn_id}")
        self._running[task] = running
        task.add_done_callback(self._running.pop)
        running.begin(task)
        return running

    async def stop(self) -> None:
        """Take no new turns, give the running ones their grace, then end them and wait for their records."""
        self.stopping = True
        if self._running:
            await asyncio.wait(self._running, timeout=self._terms.grace)
        for running in tuple(self._running.values()):
            running.end(ShutDown("The service is shutting down."))
        if self._running:
            await asyncio.wait(self._running)

    async def _run(self, running: RunningTurn, ask: Ask) -> None:
        try:
            with self._recorder.turn(ask.turn_id, ask.route, ask.client_request_id) as turn:
                running.turn = turn
                await self._within_deadline(running, turn, ask)
        except (Exception, asyncio.CancelledError):  # noqa: BLE001, S110 - the record says what happened
            pass
        finally:
            running.channel.finish()

    async def _within_deadline(self, running: RunningTurn, turn: OpenTurn, ask: Ask) -> None:
        late = TurnTimeout(f"The turn took longer than {self._terms.deadline:g} s.")
        timer = asyncio.get_running_loop().call_later(self._terms.deadline, running.end, late)
        try:
            if running.reason:
                raise running.reason
            prompt = await self._admit(turn, ask)
            await converse(self._agent, turn, prompt, running.channel)
        finally:
            timer.cancel()

    async def _admit(self, turn: OpenTurn, ask: Ask) -> Prompt:
        """Everything that may refuse a turn, in the contract's order."""
        if self.stopping:
            raise ShuttingDown("The service is shutting down.", retry_after_ms=1_000)
        caller = await ask.caller()
        turn.identified(caller)
        question = ask.question()
        turn.asked(
            conversation_id=question.conversation_id,
            model=question.model,
            query=question.message,
            streamed=question.streamed,
        )
        self._limit(turn, caller)
        turn.admitted()
        return self._prompt(question)

    def _limit(self, turn: OpenTurn, caller: Caller) -> None:
        limit = self._gate.admit(caller)
        turn.decided(limit)
        if limit and limit.decision is Decision.DENIED:
            raise RateLimited(limit)

    def _prompt(self, question: Question) -> Prompt:
        return Prompt(
            model=question.model,
            system=self._terms.system,
            messages=({"role": "user", "content": question.message},),
            tools=self._agent.tools.definitions,
            max_tokens=question.max_tokens,
        )
