"""A turn from admission to its record. It runs in its own task; a response only listens.

Refuses to end twice: the first reason wins, and a second cancel cannot break into the writing of the record.
"""

import asyncio
import traceback
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from logging import ERROR
from typing import Any, Protocol, cast

from msgspec import Struct, structs

from service.agent import attached, counting, structure, thinking, worst
from service.agent.agent import Agent, Offered
from service.agent.approving import Approvers
from service.agent.attached import Attached
from service.agent.channel import Channel
from service.agent.framing import Frame, instructed
from service.agent.granted import Ceiling, Gate, Grant
from service.agent.hold import Hold, Settlement
from service.agent.keeping import Keeping, Unkept
from service.agent.loop import converse
from service.agent.memory import Memory, Talk, Topic
from service.agent.model import Prompt, Thinking
from service.agent.places import Places
from service.agent.remembering import remembered
from service.agent.resuming import Resuming
from service.agent.running import RunningTurn
from service.agent.tooling import Means
from service.errors import RateLimited, Refusal, ShutDown, ShuttingDown, TurnTimeout
from service.limits.need import Need
from telemetry import log, names
from telemetry.failure import words_of
from telemetry.record import Caller, Decision, RateLimit, TurnRecord
from telemetry.recorder import OpenTurn, Recorder

END_SECONDS, SLICE = 0.6, 0.05
"""After the grace, for turns that were ended and what they leave; counted in slices, so that a process that
is kept from the processor does not take its own lateness for theirs."""
LEAD, LEAD_EACH = 0.2, 0.005
"""Seconds before the grace ends at which turns are ended, and more for each: all are told by its end."""


class Question(Struct, frozen=True, kw_only=True):
    """What a caller asks, decoded and valid; `model` is empty where it names none."""

    message: str
    conversation_id: str
    model: str
    max_tokens: int
    streamed: bool
    continues: bool = False
    """Whether the caller named the conversation, so that it may be there."""
    schema: Mapping[str, Any] | None = None
    """The JSON schema that the answer has to fit, looked through."""
    attachments: tuple[Attached, ...] = ()
    thinking: Thinking | None = None
    """None: nobody is shown what the model thinks."""


class Ask(Protocol):
    """A request, before anything of it is believed."""

    turn_id: str
    route: str
    client_request_id: str | None
    address: str
    """Where it comes from."""
    whom: str
    """Who seems to ask: orders those who wait for a place."""
    heavy: bool
    """Whether to look at the question takes long enough to be done in a thread."""

    async def caller(self) -> Caller:
        """Who asks; raises Unauthenticated, Forbidden or DatabaseError."""
        ...

    def question(self) -> Question:
        """What is asked; raises the Refusal that fits."""
        ...

    def claim(self, caller: Caller) -> "Claim | None":
        """The turn's hold on the request's Idempotency-Key; None where it has none."""
        ...


class Claim(Hold, Protocol):
    """A hold on an Idempotency-Key."""

    async def take(self) -> None:
        """Hold it; raises Conflict, IdempotencyMismatch or DatabaseError."""
        ...


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
        self._running: dict[asyncio.Task[None], RunningTurn] = {}
        self.resuming = Resuming()
        self.places = Places(terms.places)
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
            async with self.places.place(ask.whom):
                await self._converse(running, turn, ask)
        finally:
            timer.cancel()

    async def _converse(self, running: RunningTurn, turn: OpenTurn, ask: Ask) -> None:
        prompt, means = await self._admit(running, turn, ask)
        running.shows_thinking = prompt.thinking is not None
        answered = await converse(self._agent, turn, prompt, running.channel, means)
        if prompt.schema is not None:
            running.structured = await structure.fit(prompt.schema, answered, turn.stop_reason)
        running.said = running.asked, *remembered(answered, means.tools)

    async def _admit(self, running: RunningTurn, turn: OpenTurn, ask: Ask) -> tuple[Prompt, Means]:
        """Everything that may refuse a turn, in the contract's order."""
        await self._knock(turn, ask.address)
        caller = await ask.caller()
        turn.identified(caller)
        asked = await asyncio.to_thread(ask.question) if ask.heavy else ask.question()
        question = self._chosen(caller, asked)
        turn.asked(
            conversation_id=question.conversation_id,
            model=question.model,
            query=question.message,
            streamed=question.streamed,
            attachments=tuple(each.fact for each in question.attachments),
        )
        running.asked = attached.remembered(question.message, question.attachments)
        self._agent.choice.require(caller.role, question.model)
        thinking.require(question.thinking, question.model, question.max_tokens)
        talk = await self._hold(running, ask, caller, question)
        offered = self._agent.tools.offered_to(caller)
        fitted = talk.continued(self._prompt(question, offered))
        prompt = fitted.prompt
        turn.remembered(fitted.history if question.continues else None)
        prompt = await self._counted(turn, caller, prompt)
        grant = await self._limit(running, turn, caller, prompt)
        turn.admitted()
        self._keeping.require(ask.turn_id)
        approving = self._agent.approvers.of_turn(turn, self._terms.deadline)
        return prompt, self._means(turn, Means(offered, grant, caller, approving))

    def _means(self, turn: OpenTurn, means: Means) -> Means:
        """The same within what one turn may cost and call."""
        agent, conversation = self._agent, turn.opening.conversation_id or ""
        allowing = Ceiling(means.allowing, agent.turn_micros())
        frame = Frame(conversation)
        return structs.replace(means, allowing=allowing, frame=frame, max_calls=agent.max_calls)

    def _chosen(self, caller: Caller, question: Question) -> Question:
        """The question with the model that is asked, whether it names one or not."""
        model = self._agent.choice.preferred(caller.role, question.model)
        return structs.replace(question, model=model)

    async def _hold(self, running: RunningTurn, ask: Ask, caller: Caller, question: Question) -> Talk:
        """Take what the turn needs for itself alone, the last of it its conversation."""
        if claim := ask.claim(caller):
            running.holds.append(claim)  # before it is taken: a turn that is cancelled meanwhile lets go too
            await claim.take()
        talk = Talk(self.memory, _topic(caller, question, self._agent.window(question.model)), ask.turn_id)
        running.holds.append(talk)
        await talk.take()
        return talk

    async def _knock(self, turn: OpenTurn, address: str) -> None:
        """The only limit that needs no name, so that it can stand before the question who asks."""
        limit = await self._gate.knock(address)
        turn.decided(limit)
        if limit and limit.decision is Decision.DENIED:
            raise RateLimited(limit)

    async def _counted(self, turn: OpenTurn, caller: Caller, prompt: Prompt) -> Prompt:
        """A large prompt with its tokens counted; not for a caller who is about to be refused anyway."""
        standing = await self._gate.peek(caller) if counting.wanted(self._agent, prompt) else None
        refused = standing is not None and not standing.remaining
        return prompt if refused else await counting.measure(self._agent, turn, prompt)

    async def _limit(self, running: RunningTurn, turn: OpenTurn, caller: Caller, prompt: Prompt) -> Grant:
        def weigh() -> Need:
            others = self._agent.instead_of(prompt.model, caller)
            return worst.of_turn(prompt, self._agent.prices, self._agent.max_rounds, others)

        opening = turn.opening
        running.grant = await self._gate.admit(
            caller, opening.turn_id, opening.opened_at, prompt.model, weigh
        )
        turn.decided(running.grant.limit)
        turn.reserved(running.grant.reserved)
        if running.grant.refusal:
            raise running.grant.refusal
        return running.grant

    def _prompt(self, question: Question, offered: Offered) -> Prompt:
        return Prompt(
            model=question.model,
            system=instructed(self._terms.system) if offered.definitions else self._terms.system,
            messages=(attached.asking(question.message, question.attachments),),
            tools=offered.definitions,
            max_tokens=question.max_tokens,
            schema=question.schema,
            attached_tokens=sum(each.tokens for each in question.attachments),
            thinking=question.thinking,
        )


def _say_unrecorded(ask: Ask, error: BaseException) -> None:
    """The line in place of a record that could not be built."""
    stack = "".join(traceback.format_exception(error))
    log.say(names.REQUEST_FAILED, ERROR, route=ask.route, error=words_of(error), stack=stack)


def _topic(caller: Caller, question: Question, window: int) -> Topic:
    return Topic(
        user_id=caller.user_id,
        conversation_id=question.conversation_id,
        message=question.message,
        model=question.model,
        named=question.continues,
        window=window,
    )
