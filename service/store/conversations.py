"""Conversations in the database: a user's own, with every turn in them that was answered.

Refuses to show anybody's but the user's own: another's, and a hidden one, are not found.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from piccolo.querystring import QueryString

from service.errors import DatabaseError, NotFound
from service.seal.vault import Vault
from service.store.engine import StoreEngine
from service.store.text import storable

NOT_FOUND = "There is no such conversation."

FIND = "SELECT user_id, title, created_at, updated_at, hidden_at FROM conversation WHERE id = {}"
LIST = """
SELECT id, title, created_at, updated_at FROM conversation
WHERE user_id = {} AND hidden_at IS NULL AND (updated_at, id) < ({}, {})
ORDER BY updated_at DESC, id DESC LIMIT {}
"""
TURNS = """
SELECT turn_id, conversation_id, position, model, messages, asked_at, answered_at FROM conversation_turn
WHERE conversation_id = {} ORDER BY position DESC, turn_id DESC LIMIT {}
"""
KEEP = """
INSERT INTO conversation (id, user_id, title, created_at, updated_at) VALUES ({}, {}, {}, {}, {})
ON CONFLICT (id) DO UPDATE SET updated_at = CASE
    WHEN excluded.updated_at > conversation.updated_at THEN excluded.updated_at ELSE conversation.updated_at
END
WHERE conversation.user_id = excluded.user_id AND conversation.hidden_at IS NULL
RETURNING id
"""
KEEP_TURN = """
INSERT INTO conversation_turn (turn_id, conversation_id, position, model, messages, asked_at, answered_at)
VALUES ({}, {}, {}, {}, {}, {}, {}) ON CONFLICT (turn_id) DO NOTHING
"""
HIDE = """
UPDATE conversation SET hidden_at = {}
WHERE id = {} AND user_id = {} AND hidden_at IS NULL RETURNING id
"""
HIDE_EARLY = """
INSERT INTO conversation (id, user_id, title, created_at, updated_at, hidden_at)
VALUES ({}, {}, '', {}, {}, {})
ON CONFLICT (id) DO UPDATE SET hidden_at = excluded.hidden_at
WHERE conversation.user_id = excluded.user_id AND conversation.hidden_at IS NULL
RETURNING id
"""
HELD = "SELECT 1 AS held FROM audit_hold WHERE user_id = {}"
EMPTY = "DELETE FROM conversation_turn WHERE conversation_id = {}"
UNTITLE = "UPDATE conversation SET title = '' WHERE id = {}"
ERASED = "SELECT 1 AS erased FROM audit_erased WHERE user_digest = {} AND erased_at >= {}"

LAST = (1 << 62, "~")
"""A place after every conversation."""


class KeptTurn(Struct, frozen=True, kw_only=True):
    """One answered turn. Times are microseconds since 1970 (UTC).

    `messages` is a JSON list in the Messages API's form. `position` is one more than that of the last turn
    that this one knew of.
    """

    turn_id: str
    conversation_id: str
    position: int
    model: str
    messages: str
    asked_at: int
    answered_at: int


class KeptConversation(Struct, frozen=True, kw_only=True):
    """One conversation, without its turns. Times are microseconds since 1970 (UTC)."""

    id: str
    title: str
    created_at: int
    updated_at: int


class ConversationStore:
    """The conversations of all users; every method raises DatabaseError."""

    def __init__(self, engine: StoreEngine, vault: Vault) -> None:
        self._engine, self._vault = engine, vault

    async def keep(self, user_id: str, title: str, turn: KeptTurn) -> bool:
        """Keep an answered turn, and the conversation where it is the first one; again: nothing.

        False where the conversation is another's, was hidden meanwhile, or the user was erased after asking:
        then nothing is kept.
        """
        owner = turn.conversation_id, storable(user_id), storable(title), turn.asked_at, turn.answered_at
        async with self._engine.writing.keeping(), self._engine.transaction():
            if await self._erased(storable(user_id), turn.asked_at) or not await self._run(KEEP, *owner):
                return False
            await self._run(KEEP_TURN, *msgspec.structs.astuple(turn))
        return True

    async def recall(self, conversation_id: str, user_id: str, turns: int) -> Sequence[KeptTurn]:
        """The last so many turns, oldest first; none where nobody has such a conversation.

        Raises:
            NotFound: it is another's, or was hidden.
        """
        found = await self._look(FIND, conversation_id)
        if not found:
            return ()
        _refuse_others(found[0], user_id)
        rows = await self._look(TURNS, conversation_id, turns)
        return [msgspec.convert(row, KeptTurn) for row in reversed(rows)]

    async def find(self, conversation_id: str, user_id: str) -> KeptConversation:
        """The conversation.

        Raises:
            NotFound: there is none, it is another's, or was hidden.
        """
        found = await self._look(FIND, storable(conversation_id))
        if not found:
            raise NotFound(NOT_FOUND)
        _refuse_others(found[0], user_id)
        return _conversation({"id": conversation_id, **found[0]})

    async def list(
        self, user_id: str, limit: int, after: tuple[int, str] = LAST
    ) -> Sequence[KeptConversation]:
        """A user's conversations, latest first, from after a place: an `updated_at` and an id."""
        rows = await self._look(LIST, storable(user_id), after[0], after[1], limit)
        return [_conversation(row) for row in rows]

    async def hide(self, conversation_id: str, user_id: str, at: int, *, early: bool = False) -> None:
        """Hide the conversation from `at` on and drop its history; that of a user under legal hold is kept.

        Args:
            conversation_id: which one.
            user_id: whose it must be.
            at: microseconds since 1970 (UTC).
            early: hide it also where it is not there yet, so that a turn that comes late is not kept.

        Raises:
            NotFound: there is none, it is another's, or was hidden.
        """
        known, user = storable(conversation_id), storable(user_id)
        async with self._engine.transaction():
            sql, values = (HIDE_EARLY, (known, user, at, at, at)) if early else (HIDE, (at, known, user))
            if not await self._run(sql, *values):
                raise NotFound(NOT_FOUND)
            if not await self._run(HELD, user):
                await self._run(EMPTY, known)
                await self._run(UNTITLE, known)

    async def _erased(self, user: str, asked_at: int) -> bool:
        """Whether the user's records were erased after this was asked."""
        for digest in self._vault.digests(user):
            if await self._run(ERASED, digest, asked_at):
                return True
        return False

    async def _look(self, sql: str, *arguments: object) -> Sequence[dict[str, Any]]:
        async with self._engine.reading.looking():
            return await self._run(sql, *arguments)

    async def _run(self, sql: str, *arguments: object) -> Sequence[dict[str, Any]]:
        return await self._engine.run_querystring(QueryString(sql, *arguments))


def _refuse_others(row: Mapping[str, Any], user_id: str) -> None:
    if row["user_id"] != storable(user_id) or row["hidden_at"] is not None:
        raise NotFound(NOT_FOUND)


def _conversation(row: Mapping[str, Any]) -> KeptConversation:
    try:
        return msgspec.convert(row, KeptConversation)
    except msgspec.MsgspecError as error:
        raise DatabaseError("A conversation in the database is damaged.") from error
