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

from service.errors import Unauthenticated
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


def make_key(pepper: bytes) -> NewKey:
    """Make a key of 256 random bits."""
    key_id, secret = secrets.token_hex(8), secrets.token_hex(32)
    key = f"{PREFIX}{key_id}_{secret}"
    return NewKey(key_id, key, digest_of(key, pepper))


def digest_of(key: str, pepper: bytes) -> str:
    """What is kept of a key: HMAC-SHA256, 64 hex characters."""
    return hmac.new(pepper, key.encode(), hashlib.sha256).hexdigest()


class KeyDoor:
    """Lets callers in by their API key."""

    def __init__(self, keys: Keys, pepper: bytes, pseudonym: Callable[[str], str], clock: Clock) -> None:
        self._keys, self._pepper, self._pseudonym, self._clock = keys, pepper, pseudonym, clock

    async def identify(self, key: str) -> Caller:
        """Name the caller by the key.

        Raises:
            Unauthenticated: it does not hold.
            DatabaseError: nobody could look.
        """
        found = FORM.fullmatch(key)
        held = await self._keys.find(found["id"]) if found else None
        digest = digest_of(key, self._pepper)
        right = hmac.compare_digest(digest, held.digest if held else NOBODY)
        if not (held and right and self._lives(held)):
            raise Unauthenticated(REASON)
        return Caller(
            user_id=held.user_id,
            role=held.role,
            method="api_key",
            credential_id=held.id,
            pseudonym=self._pseudonym(held.user_id),
            scopes=tuple(held.scopes),
        )

    def _lives(self, held: Held) -> bool:
        now = self._clock()
        return held.revoked_at is None and (held.expires_at is None or now < held.expires_at)
