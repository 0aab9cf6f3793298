"""API keys: made once, shown once, kept as an HMAC under a pepper that is not in the database.

Refuses by the same words and about the same work whatever is wrong with a key.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from service.auth.verified import Verified
from service.errors import DatabaseError, Unauthenticated
from telemetry.record import Caller

PREFIX = "parley_"
FORM = re.compile(rf"{PREFIX}(?P<id>[0-9a-f]{{16}})_[0-9a-f]{{64}}")
REASON = "The API key is unknown, expired or revoked."
NOBODY = "0" * 64
"""What an unknown key is compared with."""

Clock = Callable[[], int]
"""Microseconds since 1970 (UTC)."""


class Held(Protocol):
    """A key as it is kept. Times are microseconds since 1970 (UTC)."""

    @property
    def id(self) -> str: ...  # noqa: D102 - named by the key's table
    @property
    def user_id(self) -> str: ...  # noqa: D102
    @property
    def role(self) -> str: ...  # noqa: D102
    @property
    def scopes(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def digest(self) -> str: ...  # noqa: D102
    @property
    def expires_at(self) -> int | None: ...  # noqa: D102
    @property
    def revoked_at(self) -> int | None: ...  # noqa: D102


class Keys(Protocol):
    """Where keys are kept."""

    async def find(self, key_id: str) -> Held | None:
        """The key of this id; raises DatabaseError."""
        ...


class NewKey(Struct, frozen=True):
    """A key that was just made; `key` is told once and never kept."""

    id: str
    key: str
    digest: str


def make_key(pepper: bytes, key_id: str | None = None) -> NewKey:
    """Make a key of 256 random bits; its id is random too, unless it is `id_for` something."""
    key_id, secret = key_id or secrets.token_hex(8), secrets.token_hex(32)
    key = f"{PREFIX}{key_id}_{secret}"
    return NewKey(key_id, key, digest_of(key, pepper))


def id_for(wish: str, pepper: bytes) -> str:
    """The id of the one key that may be made for this wish; nobody outside can choose it."""
    return hmac.new(pepper, f"wish {wish}".encode(), hashlib.sha256).hexdigest()[:16]


def digest_of(key: str, pepper: bytes) -> str:
    """What is kept of a key: HMAC-SHA256, 64 hex characters."""
    return hmac.new(pepper, key.encode(), hashlib.sha256).hexdigest()


class KeyDoor:
    """Lets callers in by their API key; by what was `verified` before, while nobody can look."""

    def __init__(
        self,
        keys: Keys,
        pepper: bytes,
        pseudonym: Callable[[str], str],
        clock: Clock,
        verified: Verified[Held] | None = None,
    ) -> None:
        self._keys, self._pepper, self._pseudonym, self._clock = keys, pepper, pseudonym, clock
        self._verified: Verified[Held] = verified or Verified(clock)

    async def identify(self, key: str) -> Caller:
        """Name the caller by the key.

        Raises:
            Unauthenticated: it does not hold.
            DatabaseError: nobody could look, and nobody has lately.
        """
        found, digest = FORM.fullmatch(key), digest_of(key, self._pepper)
        held, stale = await self._look(found["id"], digest) if found else (None, False)
        right = hmac.compare_digest(digest, held.digest if held else NOBODY)
        if not (held and right and self._lives(held)):
            self._verified.drop(digest)
            raise Unauthenticated(REASON)
        if not stale:
            self._verified.note(digest, held)
        return self._caller(held, stale=stale)

    def forget(self, user_id: str) -> None:
        """The keys of a user are gone: let none of them in while nobody can look."""
        self._verified.drop_all(lambda held: held.user_id == user_id)

    def drop(self, key_id: str) -> None:
        """A key was revoked: let it in no more while nobody can look."""
        self._verified.drop_all(lambda held: held.id == key_id)

    async def _look(self, key_id: str, digest: str) -> tuple[Held | None, bool]:
        """The key as it is kept; or as it was when this secret was last seen to hold, and True."""
        try:
            return await self._keys.find(key_id), False
        except DatabaseError:
            if held := self._verified.recall(digest):
                return held, True
            raise

    def _caller(self, held: Held, *, stale: bool) -> Caller:
        return Caller(
            user_id=held.user_id,
            role=held.role,
            method="api_key",
            credential_id=held.id,
            pseudonym=self._pseudonym(held.user_id),
            scopes=tuple(held.scopes),
            stale=stale,
        )

    def _lives(self, held: Held) -> bool:
        now = self._clock()
        return held.revoked_at is None and (held.expires_at is None or now < held.expires_at)
