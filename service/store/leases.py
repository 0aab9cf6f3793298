"""Leases on conversations: in each runs one turn at a time, in whatever process.

Refuses to let a dead holder stand in the way: a lease that is not renewed is free after some seconds. The
database's clock decides, so that processes need none in common.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
from piccolo.querystring import QueryString

from service.store.engine import StoreEngine
from service.store.listed import listed
from service.store.outage import promptly
from service.store.text import storable

LAST_MICROSECONDS = 10_000_000
"""How long a lease lasts that nobody renews."""
SWEPT_MICROSECONDS = 3_600_000_000
"""After which those of the dead are removed."""

NOW: Mapping[str, str] = MappingProxyType(
    {
        "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)",
        "postgres": "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)",
    }
)
TAKE = """
INSERT INTO conversation_lease (id, holder, expires_at) VALUES ({{}}, {{}}, {now} + {{}})
ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
WHERE conversation_lease.expires_at <= {now} OR conversation_lease.holder = excluded.holder
RETURNING id
"""
RENEW = "UPDATE conversation_lease SET expires_at = {now} + {{}} WHERE holder IN ({{}})"
SWEEP = "DELETE FROM conversation_lease WHERE expires_at <= {now} - {{}}"
RELEASE = "DELETE FROM conversation_lease WHERE id = {} AND holder = {}"


class ConversationLeases:
    """The leases of all processes; every method raises DatabaseError. Holders are turns."""

    def __init__(self, engine: StoreEngine) -> None:
        self._engine = engine
        self._take, self._renew, self._sweep = (
            each.format(now=NOW[engine.engine_type]) for each in (TAKE, RENEW, SWEEP)
        )

    async def take(self, user_id: str, conversation_id: str, holder: str) -> bool:
        """Take it where it is free, or that holder's already; False where another has it."""
        values = _id(user_id, conversation_id), holder, LAST_MICROSECONDS
        async with self._engine.writing.keeping(), promptly():
            return bool(await self._run(self._take, *values))

    async def renew(self, holders: Iterable[str]) -> None:
        """Let these go on, and remove what the dead left long ago."""
        async with self._engine.writing.keeping(), promptly():
            mine = listed(self._engine.engine_type, holders)
            await self._run(self._renew, LAST_MICROSECONDS, mine)
            await self._run(self._sweep, SWEPT_MICROSECONDS)

    async def release(self, user_id: str, conversation_id: str, holder: str) -> None:
        """Free it, where that holder has it."""
        async with self._engine.writing.keeping(), promptly():
            await self._run(RELEASE, _id(user_id, conversation_id), holder)

    async def _run(self, sql: str, *arguments: object) -> Sequence[dict[str, Any]]:
        return await self._engine.run_querystring(QueryString(sql, *arguments))


def _id(user_id: str, conversation_id: str) -> str:
    """The lease's id: another user's conversation of the same id is another one, and no name is kept."""
    return hashlib.sha256(msgspec.json.encode((storable(user_id), conversation_id))).hexdigest()
