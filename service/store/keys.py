"""API keys in the database, found by their id.

Refuses to hold a secret: only its HMAC is here, and comparing it is the caller's part.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from piccolo.query import Insert, Select, Update

from service.errors import DatabaseError
from service.store.engine import StoreEngine
from service.store.tables import ApiKey
from service.store.text import storable


class StoredKey(Struct, frozen=True, kw_only=True):
    """One API key. `digest` is hex; times are microseconds since 1970 (UTC)."""

    id: str
    user_id: str
    role: str
    scopes: tuple[str, ...]
    digest: str
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None


class KeyStore:
    """The keys that were made, revoked ones included; every method raises DatabaseError."""

    def __init__(self, engine: StoreEngine) -> None:
        self._engine = engine

    async def find(self, key_id: str) -> StoredKey | None:
        """The key of that id, None where there is none; never waits for a write, nor over two seconds."""
        async with self._engine.reading.looking():
            found = await self._engine.fetch(Select(ApiKey).where(ApiKey.id == storable(key_id)))
        return _key(found[0]) if found else None

    async def list(self) -> Sequence[StoredKey]:
        """All keys, oldest first."""
        found = await self._engine.fetch(Select(ApiKey).order_by(ApiKey.created_at, ApiKey.id))
        return [_key(row) for row in found]

    async def add(self, key: StoredKey) -> None:
        """Keep a new key; an id that is already there is an error."""
        row: dict[str, Any] = msgspec.structs.asdict(key)
        row["scopes"] = msgspec.json.encode(key.scopes).decode()
        await self._engine.fetch(Insert(ApiKey, ApiKey(**row)))

    async def revoke(self, key_id: str, at: int) -> bool:
        """Revoke a key from `at` on; False where there is none of that id, or it was revoked before."""
        return bool(await self._engine.fetch(_revocation(storable(key_id), at)))


def _revocation(key_id: str, at: int) -> Update[ApiKey]:
    query: Update[ApiKey] = Update(ApiKey)
    query.values({ApiKey.revoked_at: at})  # pyright: ignore[reportUnknownMemberType] - Piccolo's own row type is lost
    query.where((ApiKey.id == key_id) & ApiKey.revoked_at.is_null())  # pyright: ignore[reportUnknownMemberType] - as above
    query.returning(ApiKey.id)  # pyright: ignore[reportUnknownMemberType] - as above
    return query


def _key(row: Mapping[str, Any]) -> StoredKey:
    try:
        return msgspec.convert({**row, "scopes": msgspec.json.decode(row["scopes"])}, StoredKey)
    except msgspec.MsgspecError as error:
        raise DatabaseError("An API key in the database is damaged.") from error
