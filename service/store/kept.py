"""What is kept of a conversation and of a turn in it, and how a row of the database becomes one.

Refuses to say half: a row that does not open, or is none, is an error.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from service.errors import DatabaseError
from service.store.privacy import Lock, Unreadable

DAMAGED = "A conversation in the database is damaged."


class KeptTurn(Struct, frozen=True, kw_only=True):
    """One answered turn. Times are microseconds since 1970 (UTC).

    `messages` is a JSON list in the Messages API's form. `position` is one more than that of the last turn
    that this one knew of. `tokens` is what the turn added to its conversation; None where nobody counted.
    """

    turn_id: str
    conversation_id: str
    position: int
    model: str
    messages: str
    asked_at: int
    answered_at: int
    tokens: int | None = None

    @property
    def place(self) -> str:
        """Where its messages belong: they open nowhere else."""
        return f"conversation {self.conversation_id} turn {self.turn_id}"


class KeptConversation(Struct, frozen=True, kw_only=True):
    """One conversation, without its turns. Times are microseconds since 1970 (UTC).

    `title` is None where it does not open any more.
    """

    id: str
    title: str | None
    created_at: int
    updated_at: int
    turns: int = 0


def title_place(conversation_id: str) -> str:
    """Where a title belongs."""
    return f"conversation {conversation_id} title"


def turn_of(row: Mapping[str, Any], lock: Lock) -> KeptTurn:
    """A turn of a row; raises DatabaseError."""
    turn = _convert(row, KeptTurn)
    return msgspec.structs.replace(turn, messages=lock.open(turn.messages, row["sealed"], turn.place))


def conversation_of(row: Mapping[str, Any], lock: Lock) -> KeptConversation:
    """A conversation of a row; raises DatabaseError. One bad title keeps nobody from all others."""
    found = _convert(row, KeptConversation)
    try:
        title = lock.open(found.title or "", row["sealed_title"], title_place(found.id))
    except Unreadable:
        title = None
    return msgspec.structs.replace(found, title=title)


def _convert(row: Mapping[str, Any], kind: Any) -> Any:
    try:
        return msgspec.convert(row, kind)
    except msgspec.MsgspecError as error:
        raise DatabaseError(DAMAGED) from error
