"""Ended sessions in the database, until they would have expired: no process takes one again.

Refuses to hold a session: only what it is called is here.
"""

from collections.abc import Sequence
from typing import Any

from piccolo.querystring import QueryString

from service.store.engine import StoreEngine

SWEEP = 100
"""Expired ones that are removed in passing, at most."""

FIND = "SELECT id FROM revoked_session WHERE id = {}"
REVOKE = "INSERT INTO revoked_session (id, expires_at) VALUES ({}, {}) ON CONFLICT (id) DO NOTHING"
REMOVE = """
DELETE FROM revoked_session WHERE id IN (
    SELECT id FROM revoked_session WHERE expires_at <= {} ORDER BY expires_at, id LIMIT {}
)
"""


class SessionStore:
    """The sessions that were ended; every method raises DatabaseError."""

    def __init__(self, engine: StoreEngine) -> None:
        self._engine = engine

    async def revoke(self, token_id: str, until: int, now: int) -> None:
        """End a session; again: nothing. Also forgets some that have expired. Times are microseconds."""
        await self._run(REVOKE, token_id, until)
        await self._run(REMOVE, now, SWEEP)

    async def revoked(self, token_id: str) -> bool:
        """Whether the session was ended; never waits for a write, nor over two seconds."""
        async with self._engine.reading.looking():
            return bool(await self._run(FIND, token_id))

    async def _run(self, sql: str, *arguments: object) -> Sequence[dict[str, Any]]:
        return await self._engine.run_querystring(QueryString(sql, *arguments))
