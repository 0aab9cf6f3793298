"""The conversations that turns of this process are in: what such a turn is told, and what it leaves.

Refuses two turns of one conversation at once: in this process by itself, in others by a lease. Where no
lease could be had both are kept, each whole.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from msgspec import Struct

from service import company
from service.agent.conversation import context, history
from service.agent.conversation.context import Fitted
from service.agent.conversation.leases import BUSY_MS, RUNNING, Leases, Place
from service.agent.hold import Answer
from service.agent.model import Prompt
from service.errors import Conflict, DatabaseError
from service.store.conversations import KeptTurn
from telemetry.record import TurnRecord, UsageSource

TITLE = 80
"""Characters of the first message that are the conversation's title."""

Clock = Callable[[], int]
"""Microseconds since 1970 (UTC)."""


class Conversations(Protocol):
    """Where conversations are kept; every method raises DatabaseError."""

    async def keep(self, user_id: str, title: str, turn: KeptTurn, patience: float = 0.0) -> bool:
        """Keep an answered turn, once; False where the conversation is not the user's any more.

        It may wait `patience` seconds for others, to be written with them.
        """
        ...

    async def recall(self, conversation_id: str, user_id: str, turns: int, tokens: int) -> Sequence[KeptTurn]:
        """The last so many turns, of about so many tokens at most, oldest first; raises NotFound."""
        ...

    async def hide(self, conversation_id: str, user_id: str, at: int, *, early: bool = False) -> None:
        """Hide it and drop its history, with `early` also before it is there; raises NotFound."""
        ...


class Topic(Struct, frozen=True, kw_only=True):
    """Which conversation a turn belongs to; `named` where the caller named it, so that it may be there.

    `window` is the model's, in tokens.
    """

    user_id: str
    conversation_id: str
    message: str
    model: str
    named: bool
    window: int

    @property
    def place(self) -> Place:
        """What it is known by: an id is each user's own."""
        return self.user_id, self.conversation_id


class Present:
    """A conversation in this process: the turn that runs in it, and those that are not written yet."""

    def __init__(self) -> None:
        self.running: str | None = None
        self.unwritten: dict[str, KeptTurn] = {}


class Memory:
    """All conversations, and which of them are present."""

    def __init__(self, conversations: Conversations, clock: Clock, leases: Leases | None = None) -> None:
        self.conversations, self._clock, self.leases = conversations, clock, leases or Leases()
        self._present: dict[Place, Present] = {}

    async def hide(self, conversation_id: str, user_id: str) -> None:
        """Hide a user's conversation and drop its history; a turn that still runs in it leaves nothing.

        Raises:
            NotFound: there is none, or it is another's.
            DatabaseError: it is not hidden.
        """
        early = (user_id, conversation_id) in self._present
        await self.conversations.hide(conversation_id, user_id, self._clock(), early=early)

    @property
    def patience(self) -> float:
        """Seconds that a turn which is over may wait for others, to be written with them."""
        return company.patience(len(self._present))

    def enter(self, topic: Topic, turn_id: str) -> Present:
        """Let a turn run in its conversation.

        Raises:
            Conflict: another one does.
        """
        present = self._present.setdefault(topic.place, Present())
        if present.running is not None:
            raise Conflict(RUNNING, retry_after_ms=BUSY_MS)
        present.running = turn_id
        return present

    def leave(self, topic: Topic, turn_id: str) -> None:
        """The turn has ended; its conversation stays present while something of it is not written."""
        place = topic.place
        present = self._present[place]
        if present.running == turn_id:
            present.running = None
        if present.running is None and not present.unwritten:
            del self._present[place]


class Talk:
    """A turn's hold on its conversation."""

    name = "conversation"

    def __init__(self, memory: Memory, topic: Topic, turn_id: str) -> None:
        self._memory, self._topic, self._turn_id = memory, topic, turn_id
        self._present: Present | None = None
        self._known: Sequence[KeptTurn] = ()
        self._before = 0

    async def take(self) -> None:
        """Hold the conversation and look what was said in it.

        Raises:
            Conflict: another turn holds it, of this process or another.
            NotFound: it is another user's, or was hidden.
            DatabaseError: nobody could look, and not all of it is known here.
        """
        self._present = self._memory.enter(self._topic, self._turn_id)
        if self._topic.named:
            await self._memory.leases.take(self._topic.place, self._turn_id)
            self._known = await self._look(self._present)

    def continued(self, prompt: Prompt) -> Fitted:
        """A question with what was said before it; raises TooLarge."""
        found = context.fitted(prompt, self._known, self._topic.window)
        self._before = found.before
        return found

    async def settle(self, answer: Answer | None) -> None:
        """Leave the conversation; what was said stays known here until it is written.

        Raises:
            DatabaseError: it is not written yet.
        """
        if self._present is None:
            return
        if answer is None:
            self._leave()
        else:
            turn = self._present.unwritten.setdefault(self._turn_id, self._kept(answer))
            self._memory.leave(self._topic, self._turn_id)
            topic, memory = self._topic, self._memory
            await memory.conversations.keep(topic.user_id, topic.message[:TITLE], turn, memory.patience)
        await self._memory.leases.release(self._topic.place, self._turn_id)

    def abandon(self) -> None:
        """Forget about it in this process: it is written, or will not be."""
        self._leave()
        self._memory.leases.drop(self._topic.place, self._turn_id)

    def _leave(self) -> None:
        if self._present:
            self._present.unwritten.pop(self._turn_id, None)
            self._present = None
            self._memory.leave(self._topic, self._turn_id)

    async def _look(self, present: Present) -> Sequence[KeptTurn]:
        unwritten = dict(present.unwritten)  # before the look: what is written meanwhile is in both
        topic = self._topic
        try:
            recall = self._memory.conversations.recall
            found = await recall(topic.conversation_id, topic.user_id, history.TURNS, topic.window)
        except DatabaseError:
            if not _whole(unwritten.values()):
                raise
            found = ()
        turns = {turn.turn_id: turn for turn in (*found, *unwritten.values())}
        return sorted(turns.values(), key=lambda turn: (turn.position, turn.turn_id))

    def _kept(self, answer: Answer) -> KeptTurn:
        record = answer.record
        return KeptTurn(
            turn_id=self._turn_id,
            conversation_id=self._topic.conversation_id,
            position=self._known[-1].position + 1 if self._known else 1,
            model=record.model or self._topic.model,
            messages=history.encode(answer.messages),
            asked_at=record.opening.opened_at,
            answered_at=record.opening.opened_at + round(record.seconds * 1_000_000),
            tokens=self._added(record),
        )

    def _added(self, record: TurnRecord) -> int | None:
        """All that the provider counted in the last call, but for what is known of what was there before.

        So the turns that were told, this one and the estimate for system prompt and tools make up what was
        counted: errors of the estimate do not add up from turn to turn.
        """
        last = record.model_calls[-1] if record.model_calls else None
        if last is None or last.usage_source is not UsageSource.REPORTED:
            return None
        return max(1, last.usage.total_tokens - self._before)


def _whole(turns: Collection[KeptTurn]) -> bool:
    """Whether these are all turns of a conversation, from its first on."""
    return bool(turns) and sorted(turn.position for turn in turns) == [*range(1, len(turns) + 1)]
