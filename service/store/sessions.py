"""Sessions in the database: which go on, and which were ended, until they would have expired.

Refuses to hold what opens one: only what it is called, and whose it is, is here.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct
from piccolo.querystring import QueryString

from service.store.engine import Ask, Script, StoreEngine
from service.store.text import storable

SWEEP = 100
"""Expired ones that are removed in passing, at most."""
MOST = 1_000
"""Sessions of a list."""

KEEP = "INSERT INTO session (id, user_id, role, method, begun_at, expires_at) VALUES ({}, {}, {}, {}, {}, {})"
FIND = """
SELECT id FROM revoked_session WHERE id IN ({}, {}, {}, {})
UNION ALL SELECT id FROM revoked_subject WHERE id IN ({}, {}) AND before_at > {}
"""
BAR = (
    "INSERT INTO revoked_subject (id, before_at) VALUES ({}, {}) ON CONFLICT (id) DO UPDATE "
    "SET before_at = excluded.before_at WHERE revoked_subject.before_at < excluded.before_at"
)
END_BEFORE = "DELETE FROM session WHERE user_id = {} AND begun_at < {} RETURNING id"
REVOKE = (
    "INSERT INTO revoked_session (id, expires_at) VALUES ({}, {}) ON CONFLICT (id) DO NOTHING RETURNING id"
)
REMOVE = """
DELETE FROM revoked_session WHERE id IN (
    SELECT id FROM revoked_session WHERE expires_at <= {} ORDER BY expires_at, id LIMIT {}
)
"""
OVER = "DELETE FROM session WHERE id IN (SELECT id FROM session WHERE expires_at <= {} LIMIT {})"
ENDED = "DELETE FROM session WHERE id = {}"
OF_USER = (
    "SELECT id, user_id, role, method, begun_at, expires_at FROM session "
    "WHERE user_id = {} AND expires_at > {} ORDER BY begun_at DESC, id LIMIT {}"
)
ONE = "SELECT id, user_id, role, method, begun_at, expires_at FROM session WHERE id = {} AND expires_at > {}"
REVOKE_ALL = (
    "INSERT INTO revoked_session (id, expires_at) SELECT id, expires_at FROM session WHERE user_id = {} "
    "ON CONFLICT (id) DO NOTHING"
)
END_ALL = "DELETE FROM session WHERE user_id = {} RETURNING id"


class KeptSession(Struct, frozen=True, kw_only=True):
    """A session that goes on; times are microseconds since 1970 (UTC)."""

    id: str
    user_id: str
    role: str
    method: str
    begun_at: int
    expires_at: int


class SessionStore:
    """The sessions; every method raises DatabaseError."""

    def __init__(self, engine: StoreEngine) -> None:
        self._engine = engine

    async def keep(
        self, session_id: str, user_id: str, role: str, method: str, begun: int, until: int
    ) -> None:
        """Note a session that begins; also forgets some that have expired. Times are microseconds."""
        await self._run(KEEP, session_id, storable(user_id), role, method, begun, until)
        await self._run(OVER, begun, SWEEP)

    async def list(self, user_id: str, now: int) -> Sequence[KeptSession]:
        """Those of a user that go on, the latest first; a thousand at most."""
        found = await self._run(OF_USER, storable(user_id), now, MOST)
        return [msgspec.convert(row, KeptSession) for row in found]

    async def find(self, session_id: str, now: int) -> KeptSession | None:
        """One that goes on."""
        found = await self._run(ONE, storable(session_id), now)
        return msgspec.convert(found[0], KeptSession) if found else None

    async def revoke(self, token_id: str, until: int, now: int) -> bool:
        """End a session; again: nothing, and False. Also forgets some that have expired. Microseconds."""
        new = await self._run(REVOKE, token_id, until)
        await self._run(ENDED, token_id)
        await self._run(REMOVE, now, SWEEP)
        return bool(new)

    async def revoke_all(self, user_id: str) -> Sequence[str]:
        """End all of a user in one transaction; gives what they were called."""
        return await self._engine.run_script(partial(forget, storable(user_id)))

    async def bar(self, person: str, subject: str, before: int) -> Sequence[str]:
        """End all of a person that were issued before then, known or not, once and for all.

        `subject` is what they are called here; gives what the sessions that were known were called.
        """
        return await self._engine.run_script(partial(_barring, storable(person), subject, before))

    async def revoked(self, *names: str, subjects: Sequence[str] = (), issued: int = 0) -> bool:
        """Whether a session or token of these names, four at most, was ended; or all of its user's.

        `subjects` are what the user is called here, two at most; never waits for a write, nor over two
        seconds.
        """
        return bool(await self._engine.look_up(FIND, *_so_many(4, names), *_so_many(2, subjects), issued))

    async def _run(self, sql: str, *arguments: object) -> Sequence[dict[str, Any]]:
        return await self._engine.run(sql, *arguments)


def _so_many(number: int, names: Sequence[str]) -> Sequence[str]:
    """As many of at most as many: the statement is the same for all, and so prepared once."""
    return (*names, *[names[0] if names else ""] * (number - len(names)))


def _barring(user: str, subject: str, before: int) -> Script[Sequence[str]]:
    yield Ask(QueryString(BAR, subject, before))
    return [str(row["id"]) for row in (yield Ask(QueryString(END_BEFORE, user, before)))]


def forget(user: str) -> Script[Sequence[str]]:
    """End all of a user, whose name is as the store keeps it."""
    yield Ask(QueryString(REVOKE_ALL, user))
    return [str(row["id"]) for row in (yield Ask(QueryString(END_ALL, user)))]
