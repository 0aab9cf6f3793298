"""A turn under way, as whoever listens to it has it in hand: hear it, leave it, wait for its record.

Refuses to end twice: the first reason wins.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from msgspec import UNSET, UnsetType

from service.agent.channel import Channel, Ear, change, wake
from service.agent.events import Event
from service.agent.granted import Grant
from service.agent.hold import Answer, Hold, Message
from service.errors import ClientGone, NotFound, ServiceError
from telemetry.record import Caller, Outcome, RateLimit, TurnRecord
from telemetry.recorder import OpenTurn


def _nothing() -> None:
    """Nobody needs to know."""


class Peek(Protocol):
    """The limits, as far as a turn that never came to them is told how its caller stands."""

    async def peek(self, caller: Caller) -> RateLimit | None:
        """Say how the caller stands; costs nothing. None where limits are off."""
        ...


class RunningTurn:
    """A turn under way: listen to it, or leave it.

    `patience` is how many seconds a stream that has begun goes on, or is kept, without a listener; `given_up`
    is called when nobody may come any more.
    """

    def __init__(
        self,
        gate: Peek,
        channel: Channel | None = None,
        patience: float = 0.0,
        given_up: Callable[[], None] = _nothing,
    ) -> None:
        self._gate, self._patience, self._given_up = gate, patience, given_up
        self._peeked: RateLimit | None = None
        self.grant: Grant | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiting: list[asyncio.Future[None]] = []
        self._over = False
        self._alone: asyncio.TimerHandle | None = None
        self.channel = channel or Channel()
        self.first = self.channel.listen()
        self.turn: OpenTurn | None = None
        self.reason: BaseException | None = None
        self.holds: list[Hold] = []
        self.asked: Message = {}
        self.said: Sequence[Message] = ()
        self.structured: Any = UNSET
        self.shows_thinking = False

    def begin(self, task: asyncio.Task[None]) -> None:
        """The task that runs it exists."""
        self._task = task
        task.add_done_callback(lambda _: wake(self._waiting))

    def end(self, reason: BaseException) -> None:
        """Make it end for this reason, at once; does nothing when it ends already."""
        if self.reason is None and self.record is None:
            self.reason = reason
            if self.turn and self._task:  # before that, the turn looks at the reason when it opens
                self.turn.reason = reason
                self._task.cancel()

    def listen(self, after: int) -> Ear:
        """Listen beside whoever listens, or in their place, from after the event of this number.

        Raises:
            NotFound: there is nothing to hear, or what comes next is not kept.
        """
        if isinstance(self.reason, ClientGone):
            raise NotFound("The turn was given up.")
        ear = self.channel.listen(after)
        self._wait_no_more()
        return ear

    def leave(self, ear: Ear | None = None) -> None:
        """A listener goes: this one, or the first.

        A turn that nobody listens to ends as `client_gone`: at once, or after its patience where somebody who
        heard it begin may come again.
        """
        (ear or self.first).leave()
        if self.channel.listeners or self._alone:
            return
        if self._patience and self.streamed and self.channel.said:
            self._wait()
        else:
            self.give_up()

    def give_up(self) -> None:
        """Nobody comes any more: end it, where it is not over, and let go of what is kept."""
        self._wait_no_more()
        self.end(ClientGone())
        self.channel.leave()
        self._given_up()

    async def hear(self) -> Event | None:
        """What is said next; None when the turn is over."""
        return await self.first.hear()

    async def ended(self) -> TurnRecord:
        """Wait for the record; the wait may be cancelled, the turn is not."""
        if self._task and not self._over and not self._task.done():
            await change(self._waiting)
        if self.record is None:
            raise ServiceError("The turn left no record.")
        return self.record

    @property
    def record(self) -> TurnRecord | None:
        """The record, once the turn is over."""
        return self.turn.record if self.turn else None

    @property
    def caller(self) -> Caller | None:
        """Who asked, as far as that is known."""
        return self.turn.opening.caller if self.turn else None

    @property
    def answer(self) -> Answer | None:
        """What was answered; None while the turn runs, and where it ended otherwise."""
        if self.record is None or self.record.outcome is not Outcome.ANSWERED:
            return None
        return Answer(
            record=self.record,
            messages=self.said,
            text=self.channel.text,
            structured=self.structured,
            thinking=self.thinking,
        )

    @property
    def thinking(self) -> str | UnsetType:
        """What the model thought so far, where that was asked for."""
        return self.channel.thinking if self.shows_thinking else UNSET

    @property
    def streamed(self) -> bool:
        """Whether the caller wants a stream, as far as that is known."""
        return self.turn is not None and self.turn.opening.streamed

    @property
    def standing(self) -> RateLimit | None:
        """How the caller stands with the limits; None for a caller nobody knows, or without limits."""
        if not self.turn or not self.turn.opening.caller:
            return None
        return self.turn.opening.rate_limit or self._peeked

    async def settle(self) -> None:
        """The turn is over: give back what it was granted and did not use, and see how its caller stands."""
        record = self.record
        if record and self.grant:
            tokens = [call.usage.total_tokens for call in record.model_calls]
            await self.grant.close(tokens, record.charged_micros)
        elif record and record.opening.caller and not record.opening.rate_limit:
            self._peeked = await self._gate.peek(record.opening.caller)

    def finish(self) -> None:
        """Nothing more will be said; whoever is waited for has all the time again to come and hear it."""
        self._over = True
        self.channel.finish()
        if self._alone:
            self._wait_no_more()
            self._wait()

    def _wait(self) -> None:
        self._alone = asyncio.get_running_loop().call_later(self._patience, self.give_up)

    def _wait_no_more(self) -> None:
        if self._alone:
            self._alone.cancel()
            self._alone = None
