"""Conversations in the database: a user's own, with every turn in them that was answered.

Refuses to show anybody's but the user's own: another's, and a hidden one, are not found.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from piccolo.querystring import QueryString

from service.errors import NotFound, RowRefused
from service.seal.vault import Vault
from service.store.engine import StoreEngine
from service.store.kept import KeptConversation, KeptTurn, conversation_of, title_place, turn_of
from service.store.privacy import KEYED, NOBODY, Lock, Unreadable, locked
from service.store.text import storable

__all__ = ["LAST", "ConversationStore", "KeptConversation", "KeptTurn"]

NOT_FOUND = "There is no such conversation."

FIND = """
SELECT conversation.user_id, hidden_at, subject.id AS subject_id, subject.data_key FROM conversation
LEFT JOIN audit_subject AS subject ON subject.user_id = conversation.user_id WHERE conversation.id = {}
"""
SUMMARY = """
SELECT conversation.id, title, sealed_title, conversation.created_at, updated_at, conversation.user_id,
    hidden_at, subject.id AS subject_id, subject.data_key,
    (SELECT count(*) FROM conversation_turn WHERE conversation_id = conversation.id) AS turns
FROM conversation LEFT JOIN audit_subject AS subject ON subject.user_id = conversation.user_id
"""
READ = SUMMARY + "WHERE conversation.id = {}"
LIST = (
    SUMMARY + "WHERE conversation.user_id = {} AND hidden_at IS NULL "
    "AND (updated_at, conversation.id) < ({}, {}) "
    "ORDER BY updated_at DESC, conversation.id DESC LIMIT {}"
)
TURNS = """
SELECT turn.turn_id, turn.conversation_id, turn.position, model, messages, sealed, tokens,
    asked_at, answered_at
FROM conversation_turn AS turn JOIN (
    SELECT turn_id, SUM(weight) OVER (ORDER BY position DESC, turn_id DESC) - weight AS newer FROM (
        SELECT turn_id, position,
            COALESCE(tokens, (LENGTH(messages) + COALESCE(LENGTH(sealed), 0)) / 6) AS weight
        FROM conversation_turn WHERE conversation_id = {}
    ) AS weighed
) AS summed ON summed.turn_id = turn.turn_id
WHERE summed.newer <= CAST({} AS BIGINT) ORDER BY turn.position DESC, turn.turn_id DESC LIMIT {}
"""
"""Lengths first: what the model will not be told is not read. A sixth of a length is less than its tokens."""
WHO = """
SELECT subject.id AS subject_id, subject.data_key, {erased} AS erased
FROM (SELECT 1 AS one) AS one LEFT JOIN audit_subject AS subject ON subject.user_id = {{}}
"""
ERASED = "EXISTS (SELECT 1 FROM audit_erased WHERE user_digest = {} AND erased_at >= {})"
KEEP = """
INSERT INTO conversation (id, user_id, title, sealed_title, created_at, updated_at)
VALUES ({}, {}, {}, {}, {}, {})
ON CONFLICT (id) DO UPDATE SET updated_at = CASE
    WHEN excluded.updated_at > conversation.updated_at THEN excluded.updated_at ELSE conversation.updated_at
END
WHERE conversation.user_id = excluded.user_id AND conversation.hidden_at IS NULL
RETURNING id
"""
KEEP_TURN = """
INSERT INTO conversation_turn
    (turn_id, conversation_id, position, model, messages, sealed, tokens, asked_at, answered_at)
VALUES ({}, {}, {}, {}, {}, {}, {}, {}, {}) ON CONFLICT (turn_id) DO NOTHING
"""
RENAME = """
UPDATE conversation SET title = {}, sealed_title = {}
WHERE id = {} AND user_id = {} AND hidden_at IS NULL RETURNING id
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
UNTITLE = "UPDATE conversation SET title = '', sealed_title = NULL WHERE id = {}"

MOST_TOKENS = 1 << 62
LAST = (1 << 62, "~")
"""A place after every conversation."""


class ConversationStore:
    """The conversations of all users; every method raises DatabaseError."""

    def __init__(self, engine: StoreEngine, vault: Vault) -> None:
        self._engine, self._vault = engine, vault
        self._who = WHO.format(erased=" OR ".join([ERASED] * len(vault.digests(""))))

    async def keep(self, user_id: str, title: str, turn: KeptTurn) -> bool:
        """Keep an answered turn, and the conversation where it is the first one; again: nothing.

        False where the conversation is another's, was hidden meanwhile, or the user was erased after asking:
        then nothing is kept.

        Raises:
            RowRefused: the user's key does not open, so that nothing can be sealed.
        """
        user = storable(user_id)
        make = partial(locked, user, self._vault, self._engine.engine_type, turn.asked_at)
        async with self._engine.writing.keeping():
            kept = await self._kept(user, storable(title), turn)
            if kept is None:
                await self._engine.run_script(make)  # by itself: it waits in the audit's own queue
                kept = await self._kept(user, storable(title), turn)
        return bool(kept)

    async def _kept(self, user: str, title: str, turn: KeptTurn) -> bool | None:
        """Keep it; None where the user has no key yet."""
        async with self._engine.transaction():
            digests = (part for each in self._vault.digests(user) for part in (each, turn.asked_at))
            (who,) = await self._run(self._who, *digests, user)
            if who["erased"]:
                return False
            if who["subject_id"] is None and self._vault.masters:
                return None
            return await self._written(user, title, turn, Lock(self._vault, who))

    async def _written(self, user: str, title: str, turn: KeptTurn, lock: Lock) -> bool:
        try:
            named = lock.seal(title, title_place(turn.conversation_id))
            said = lock.seal(turn.messages, turn.place)
        except Unreadable as error:
            raise RowRefused(error.detail) from error
        owner = turn.conversation_id, user, *named, turn.asked_at, turn.answered_at
        if not await self._run(KEEP, *owner):
            return False
        place = turn.turn_id, turn.conversation_id, turn.position, turn.model
        await self._run(KEEP_TURN, *place, *said, turn.tokens, turn.asked_at, turn.answered_at)
        return True

    async def recall(
        self, conversation_id: str, user_id: str, turns: int, tokens: int = MOST_TOKENS
    ) -> Sequence[KeptTurn]:
        """The last so many turns, of so many tokens and one turn more at most, oldest first.

        None where nobody has such a conversation.

        Raises:
            NotFound: it is another's, or was hidden.
        """
        found = await self._look(FIND, conversation_id)
        if not found:
            return ()
        _refuse_others(found[0], user_id)
        rows = await self._look(TURNS, conversation_id, tokens, turns)
        lock = Lock(self._vault, found[0])
        return [turn_of(row, lock) for row in reversed(rows)]

    async def find(self, conversation_id: str, user_id: str) -> KeptConversation:
        """The conversation.

        Raises:
            NotFound: there is none, it is another's, or was hidden.
        """
        found = await self._look(READ, storable(conversation_id))
        if not found:
            raise NotFound(NOT_FOUND)
        _refuse_others(found[0], user_id)
        return conversation_of(found[0], Lock(self._vault, found[0]))

    async def list(
        self, user_id: str, limit: int, after: tuple[int, str] = LAST
    ) -> Sequence[KeptConversation]:
        """A user's conversations, latest first, from after a place: an `updated_at` and an id."""
        rows = await self._look(LIST, storable(user_id), after[0], after[1], limit)
        lock = Lock(self._vault, rows[0] if rows else NOBODY)
        return [conversation_of(row, lock) for row in rows]

    async def rename(self, conversation_id: str, user_id: str, title: str) -> KeptConversation:
        """Give it another title, which no turn changes.

        Raises:
            NotFound: there is none, it is another's, or was hidden.
        """
        known, user = storable(conversation_id), storable(user_id)
        async with self._engine.transaction():
            keyed = await self._run(KEYED, user)
            lock = Lock(self._vault, keyed[0] if keyed else NOBODY)
            named = lock.seal(storable(title), title_place(known))
            if not await self._run(RENAME, *named, known, user):
                raise NotFound(NOT_FOUND)
        return await self.find(conversation_id, user_id)

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

    async def _look(self, sql: str, *arguments: object) -> Sequence[dict[str, Any]]:
        async with self._engine.reading.looking():
            return await self._run(sql, *arguments)

    async def _run(self, sql: str, *arguments: object) -> Sequence[dict[str, Any]]:
        return await self._engine.run_querystring(QueryString(sql, *arguments))


def _refuse_others(row: Mapping[str, Any], user_id: str) -> None:
    if row["user_id"] != storable(user_id) or row["hidden_at"] is not None:
        raise NotFound(NOT_FOUND)
