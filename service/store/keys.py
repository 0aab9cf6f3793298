"""API keys in the database, found by their id.

Refuses to hold a secret: only its HMAC is here, and comparing it is the caller's part.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Struct
from piccolo.query import Insert
from piccolo.querystring import QueryString

from service.errors import DatabaseError
from service.store.engine import Ask, Batch, Script, StoreEngine
from service.store.tables import ApiKey
from service.store.tenancy import EVERYBODY, Whose, bound
from service.store.text import storable

EACH = (
    "SELECT id, user_id, role, scopes, digest, created_at, expires_at, revoked_at, last_used_at FROM api_key"
)
FIND = f"{EACH} WHERE id = {{}}"
ALL = QueryString(f"{EACH} ORDER BY created_at, id")
USED: Mapping[str, str] = MappingProxyType(
    {
        "sqlite": "UPDATE api_key SET last_used_at = ?1 WHERE id = ?2 AND COALESCE(last_used_at, 0) < ?1",
        "postgres": "UPDATE api_key SET last_used_at = $1 WHERE id = $2 AND COALESCE(last_used_at, 0) < $1",
    }
)
SHORTEN = """
UPDATE api_key SET expires_at = CASE WHEN expires_at < {} THEN expires_at ELSE {} END
WHERE id = {} AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > {}) RETURNING id
"""
CUT_OFF = "UPDATE api_key SET revoked_at = {} WHERE user_id = {} AND revoked_at IS NULL RETURNING id"
OWN = "SELECT id FROM api_key WHERE id = {}"
REVOKE = "UPDATE api_key SET revoked_at = {} WHERE revoked_at IS NULL AND id IN ({}) RETURNING id"


class StoredKey(Struct, frozen=True, kw_only=True):
    """One API key. `user_id` is the person's, `digest` is hex.

    Times are microseconds since 1970 (UTC), that of the last use roughly.
    """

    id: str
    user_id: str
    role: str
    scopes: tuple[str, ...]
    digest: str
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    last_used_at: int | None = None


class KeyStore:
    """The keys that were made, revoked ones included; every method raises DatabaseError."""

    def __init__(self, engine: StoreEngine, whose: Whose = EVERYBODY) -> None:
        self._engine, self._whose = engine, whose

    def within(self, tenant: str | None) -> "KeyStore":
        """The same, of one tenant's keys alone; only `find` knows all: a key says whose it is."""
        return KeyStore(self._engine, tenant)

    async def find(self, key_id: str) -> StoredKey | None:
        """The key of that id, None where there is none; never waits for a write, nor over two seconds."""
        found = await self._engine.look_up(FIND, storable(key_id))
        return _key(found[0]) if found else None

    async def list(self) -> Sequence[StoredKey]:
        """All keys, oldest first."""
        found = await self._engine.run_querystring(bound(ALL, self._whose, self._engine.engine_type))
        return [_key(row) for row in found]

    async def add(self, key: StoredKey) -> None:
        """Keep a new key; an id that is already there is an error."""
        await self._engine.fetch(_insertion(key))

    async def succeed(self, key_id: str, until: int, key: StoredKey) -> bool:
        """Keep a key that takes another's place, which holds until then at most.

        False, and nothing is kept, where the other holds no longer even now (`created_at` of the new one).
        """
        script = partial(_succession, storable(key_id), until, key)
        return await self._engine.run_script(script)

    async def used(self, when: Mapping[str, int]) -> None:
        """Note when keys were last used, by their ids; microseconds."""
        rows = [(at, key_id) for key_id, at in when.items()]
        await self._engine.write(Batch(USED[self._engine.engine_type], rows))

    async def revoke_all(self, user_id: str, at: int) -> Sequence[str]:
        """Revoke all keys of a user from `at` on; gives their ids."""
        found = await self._engine.run_querystring(QueryString(CUT_OFF, at, storable(user_id)))
        return [str(row["id"]) for row in found]

    async def revoke(self, key_id: str, at: int) -> bool:
        """Revoke a key from `at` on; False where there is none of that id, or it was revoked before."""
        # Known in the statement that writes: no look that is given up, and a damaged key can be revoked too.
        own = bound(QueryString(OWN, storable(key_id)), self._whose, self._engine.engine_type)
        return bool(await self._engine.run_querystring(QueryString(REVOKE, at, own)))


def _insertion(key: StoredKey) -> Insert[ApiKey]:
    row: dict[str, Any] = msgspec.structs.asdict(key)
    row["scopes"] = msgspec.json.encode(key.scopes).decode()
    return Insert(ApiKey, ApiKey(**row))


def _succession(key_id: str, until: int, key: StoredKey) -> Script[bool]:
    shortened = yield Ask(QueryString(SHORTEN, until, until, key_id, key.created_at))
    if shortened:
        yield Ask(_insertion(key).querystrings[0])
    return bool(shortened)


def _key(row: Mapping[str, Any]) -> StoredKey:
    try:
        return msgspec.convert({**row, "scopes": msgspec.json.decode(row["scopes"])}, StoredKey)
    except msgspec.MsgspecError as error:
        raise DatabaseError("An API key in the database is damaged.") from error
