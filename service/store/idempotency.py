"""Idempotency keys in the database: each is one turn's at a time, in whatever process the turn runs.

Refuses to let an expired claim stand in the way: whoever comes next takes it over.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from service.store.engine import StoreEngine
from service.store.text import storable

SWEEP = 100
"""Expired claims that are removed in passing, at most."""

FIND = "SELECT body_digest, turn_id, answer FROM idempotency_claim WHERE id = {} AND expires_at > {}"
CLAIM = """
INSERT INTO idempotency_claim (id, user_id, body_digest, turn_id, answer, expires_at)
VALUES ({}, {}, {}, {}, NULL, {})
ON CONFLICT (id) DO UPDATE SET body_digest = excluded.body_digest, turn_id = excluded.turn_id,
    answer = NULL, expires_at = excluded.expires_at
WHERE idempotency_claim.expires_at <= {}
RETURNING id
"""
KEEP = "UPDATE idempotency_claim SET answer = {}, expires_at = {} WHERE id = {} AND turn_id = {}"
RELEASE = "DELETE FROM idempotency_claim WHERE id = {} AND turn_id = {} AND answer IS NULL"
# The outer condition is asked again of a row that was claimed while this waited for it.
REMOVE = """
DELETE FROM idempotency_claim WHERE expires_at <= {} AND id IN (
    SELECT id FROM idempotency_claim WHERE expires_at <= {} ORDER BY expires_at, id LIMIT {}
)
"""


class Claimed(Struct, frozen=True, kw_only=True):
    """What stands for a key: the turn that has it, and its answer once it has one."""

    body_digest: str
    turn_id: str
    answer: str | None = None


class IdempotencyStore:
    """The keys of all users; every method raises DatabaseError. Times are microseconds since 1970 (UTC)."""

    def __init__(self, engine: StoreEngine) -> None:
        self._engine = engine

    async def find(self, user_id: str, key: str, now: int) -> Claimed | None:
        """What stands for the key; None where it is free. Never waits for a write."""
        async with self._engine.reading.looking():
            found = await self._run(FIND, _id(user_id, key), now)
        return msgspec.convert(found[0], Claimed) if found else None

    async def claim(
        self, user_id: str, key: str, *, body_digest: str, turn_id: str, now: int, until: int
    ) -> Claimed | None:
        """Claim the key for a turn; None where it is the turn's now, else what stands in the way."""
        values = _id(user_id, key), storable(user_id), body_digest, turn_id, until, now
        while not await self._keep(CLAIM, *values):
            if found := await self.find(user_id, key, now):
                return found
        return None

    async def keep(self, user_id: str, key: str, *, turn_id: str, answer: str, now: int, until: int) -> None:
        """Keep the answer of the turn that has the key; nothing where another took it over. Again: nothing.

        Also removes some claims that are expired.
        """
        await self._keep(KEEP, answer, until, _id(user_id, key), turn_id)
        await self._keep(REMOVE, now, now, SWEEP)

    async def release(self, user_id: str, key: str, turn_id: str) -> None:
        """Free the key, where that turn has it and was not answered."""
        await self._keep(RELEASE, _id(user_id, key), turn_id)

    async def _keep(self, sql: str, *arguments: object) -> Sequence[dict[str, Any]]:
        async with self._engine.writing.keeping():
            return await self._run(sql, *arguments)

    async def _run(self, sql: str, *arguments: object) -> Sequence[dict[str, Any]]:
        return await self._engine.run(sql, *arguments)


def _id(user_id: str, key: str) -> str:
    """The claim's id: keys are a user's own, and what a client put into one is not kept."""
    return hashlib.sha256(msgspec.json.encode((storable(user_id), key))).hexdigest()
