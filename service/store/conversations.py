"""Conversations in the database: a user's own, with every turn in them that was answered.

Refuses to show anybody's but the user's own: another's, and a hidden one, are not found.
"""

from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

from service.errors import NotFound, RowRefused
from service.seal.vault import Vault
from service.store.engine import Plain, Script, StoreEngine
from service.store.gathering import Gathering
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


Said = tuple[str, str, KeptTurn]
"""A turn, with its user and its conversation's title as the store keeps them."""


@cache
def _who(digests: int) -> str:
    """The statement that asks about a user who may have so many digests; there are as many as master keys."""
    return WHO.format(erased=" OR ".join([ERASED] * digests))


class ConversationStore:
    """The conversations of all users; every method raises DatabaseError."""

    def __init__(self, engine: StoreEngine, vault: Vault) -> None:
        self._engine, self._vault = engine, vault
        self._keeping = Gathering[Said, bool](self._keep)

    async def keep(self, user_id: str, title: str, turn: KeptTurn, patience: float = 0.0) -> bool:
        """Keep an answered turn, and the conversation where it is the first one; again: nothing.

        It may wait `patience` seconds for others, to be written with them. False where the conversation is
        another's, was hidden meanwhile, or the user was erased after asking: then nothing is kept.

        Raises:
            RowRefused: the user's key does not open, so that nothing can be sealed.
        """
        async with self._engine.writing.keeping():
            return await self._keeping.do((storable(user_id), storable(title), turn), patience)

    async def _keep(self, said: Sequence[Said]) -> Sequence[bool | Exception]:
        """Keep several in one transaction; where the database refuses one of them, each in its own."""
        try:
            kept = await self._engine.together(partial(self._all_kept, said))
        except RowRefused as error:
            return [error] if len(said) == 1 else [await self._alone(each) for each in said]
        return [
            await self._alone(each) if found is None else found
            for each, found in zip(said, kept, strict=True)
        ]

    async def _alone(self, said: Said) -> bool | Exception:
        """Keep one, with a key for its user where there was none."""
        user, _, turn = said
        try:
            # By itself: it waits in the audit's own queue.
            await self._engine.run_script(
                partial(locked, user, self._vault, self._engine.engine_type, turn.asked_at)
            )
            (kept,) = await self._engine.together(partial(self._all_kept, [said]))
        except RowRefused as error:
            return error
        return kept if isinstance(kept, Exception) else bool(kept)

    def _all_kept(self, said: Sequence[Said]) -> Script[Sequence[bool | Exception | None]]:
        found = dict[str, bool | Exception | None]()
        # In one order in all processes: none waits for another that waits for it.
        for user, title, turn in sorted(said, key=lambda each: (each[2].conversation_id, each[2].position)):
            try:
                found[turn.turn_id] = yield from self._kept(user, title, turn)
            except RowRefused as error:
                found[turn.turn_id] = error
        return [found[turn.turn_id] for _, _, turn in said]

    def _kept(self, user: str, title: str, turn: KeptTurn) -> Script[bool | None]:
        """Keep it; None where the user has no key yet."""
        digests = self._vault.digests(user)
        asked = (part for each in digests for part in (each, turn.asked_at))
        (who,) = yield Plain(_who(len(digests)), (*asked, user))
        if who["erased"]:
            return False
        if who["subject_id"] is None and self._vault.masters:
            return None
        return (yield from self._written(user, title, turn, Lock(self._vault, who)))

    def _written(self, user: str, title: str, turn: KeptTurn, lock: Lock) -> Script[bool]:
        try:
            named = lock.seal(title, title_place(turn.conversation_id))
            said = lock.seal(turn.messages, turn.place)
        except Unreadable as error:
            raise RowRefused(error.detail) from error
        owner = turn.conversation_id, user, *named, turn.asked_at, turn.answered_at
        if not (yield Plain(KEEP, owner)):
            return False
        place = turn.turn_id, turn.conversation_id, turn.position, turn.model
        yield Plain(KEEP_TURN, (*place, *said, turn.tokens, turn.asked_at, turn.answered_at))
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
        return await self._engine.run(sql, *arguments)


def _refuse_others(row: Mapping[str, Any], user_id: str) -> None:
    if row["user_id"] != storable(user_id) or row["hidden_at"] is not None:
        raise NotFound(NOT_FOUND)
