"""The conversations that turns of this process are in: what such a turn is told, and what it leaves.

Refuses two turns of one conversation at once in this process. Across processes both are kept, each whole.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from msgspec import Struct

from service.agent import history
from service.agent.hold import Answer, Message
from service.errors import Conflict, DatabaseError
from service.store.conversations import KeptTurn

TITLE = 80
"""Characters of the first message that are the conversation's title."""
BUSY_MS = 1_000
"""When to come back to a conversation in which a turn runs: nobody knows how long it will."""

Clock = Callable[[], int]
"""Microseconds since 1970 (UTC)."""


class Conversations(Protocol):
    """Where conversations are kept; every method raises DatabaseError."""

    async def keep(self, user_id: str, title: str, turn: KeptTurn) -> bool:
        """Keep an answered turn, once; False where the conversation is not the user's any more."""
        ...

    async def recall(self, conversation_id: str, user_id: str, turns: int) -> Sequence[KeptTurn]:
        """The last so many turns, oldest first; raises NotFound."""
        ...

    async def hide(self, conversation_id: str, user_id: str, at: int, *, early: bool = False) -> None:
        """Hide it and drop its history, with `early` also before it is there; raises NotFound."""
        ...


class Topic(Struct, frozen=True, kw_only=True):
    """Which conversation a turn belongs to; `named` where the caller named it, so that it may be there."""

    user_id: str
    conversation_id: str
    message: str
    model: str
    named: bool


class Present:
    """A conversation in this process: the turn that runs in it, and those that are not written yet."""

    def __init__(self) -> None:
        self.running: str | None = None
        self.unwritten: dict[str, KeptTurn] = {}


class Memory:
    """All conversations, and which of them are present."""

    def __init__(self, conversations: Conversations, clock: Clock) -> None:
        self.conversations, self._clock = conversations, clock
        self._present: dict[tuple[str, str], Present] = {}

    async def hide(self, conversation_id: str, user_id: str) -> None:
        """Hide a user's conversation and drop its history; a turn that still runs in it leaves nothing.

        Raises:
            NotFound: there is none, or it is another's.
            DatabaseError: it is not hidden.
        """
        early = (user_id, conversation_id) in self._present
        await self.conversations.hide(conversation_id, user_id, self._clock(), early=early)

    def enter(self, topic: Topic, turn_id: str) -> Present:
        """Let a turn run in its conversation.

        Raises:
            Conflict: another one does.
        """
        present = self._present.setdefault((topic.user_id, topic.conversation_id), Present())
        if present.running is not None:
            raise Conflict("A turn of this conversation is still running.", retry_after_ms=BUSY_MS)
        present.running = turn_id
        return present

    def leave(self, topic: Topic, turn_id: str) -> None:
        """The turn has ended; its conversation stays present while something of it is not written."""
        place = topic.user_id, topic.conversation_id
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
        self._position = 1

    async def take(self) -> Sequence[Message]:
        """Hold the conversation and return what the model is to be told of it.

        Raises:
            Conflict: another turn of this process holds it.
            NotFound: it is another user's, or was hidden.
            DatabaseError: nobody could look, and not all of it is known here.
        """
        self._present = self._memory.enter(self._topic, self._turn_id)
        if not self._topic.named:
            return ()
        known = await self._known(self._present)
        self._position = known[-1].position + 1 if known else 1
        return history.told_again(known, self._topic.model)

    async def settle(self, answer: Answer | None) -> None:
        """Leave the conversation; what was said stays known here until it is written.

        Raises:
            DatabaseError: it is not written yet.
        """
        if self._present is None:
            return
        if answer is None:
            self.abandon()
            return
        turn = self._present.unwritten.setdefault(self._turn_id, self._kept(answer))
        self._memory.leave(self._topic, self._turn_id)
        await self._memory.conversations.keep(self._topic.user_id, self._topic.message[:TITLE], turn)

    def abandon(self) -> None:
        """Forget about it in this process: it is written, or will not be."""
        if self._present:
            self._present.unwritten.pop(self._turn_id, None)
            self._present = None
            self._memory.leave(self._topic, self._turn_id)

    async def _known(self, present: Present) -> Sequence[KeptTurn]:
        unwritten = dict(present.unwritten)  # before the look: what is written meanwhile is in both
        topic = self._topic
        try:
            recall = self._memory.conversations.recall
            found = await recall(topic.conversation_id, topic.user_id, history.TURNS)
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
            position=self._position,
            model=record.model or self._topic.model,
            messages=history.encode(answer.messages),
            asked_at=record.opening.opened_at,
            answered_at=record.opening.opened_at + round(record.seconds * 1_000_000),
        )


def _whole(turns: Collection[KeptTurn]) -> bool:
    """Whether these are all turns of a conversation, from its first on."""
    return bool(turns) and sorted(turn.position for turn in turns) == [*range(1, len(turns) + 1)]
