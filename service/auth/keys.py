"""API keys: made once, shown once, kept as an HMAC under a pepper that is not in the database.

Refuses by the same words and about the same work whatever is wrong with a key.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Protocol

from msgspec import Struct

from service.auth.verified import Verified
from service.errors import DatabaseError, Unauthenticated
from telemetry.person import parted
from telemetry.record import Caller

PREFIX = "parley_"
FORM = re.compile(rf"{PREFIX}(?P<id>[0-9a-f]{{16}})_[0-9a-f]{{64}}")
REASON = "The API key is unknown, expired or revoked."
NOBODY = "0" * 64
"""What an unknown key is compared with."""

CAPACITY = 1_000
"""Callers that are remembered by their keys."""

Clock = Callable[[], int]
"""Microseconds since 1970 (UTC)."""


class Held(Protocol):
    """A key as it is kept. Times are microseconds since 1970 (UTC)."""

    @property
    def id(self) -> str: ...  # noqa: D102 - named by the key's table
    @property
    def user_id(self) -> str: ...  # noqa: D102 - as above
    @property
    def role(self) -> str: ...  # noqa: D102 - as above
    @property
    def scopes(self) -> tuple[str, ...]: ...  # noqa: D102 - as above
    @property
    def digest(self) -> str: ...  # noqa: D102 - as above
    @property
    def expires_at(self) -> int | None: ...  # noqa: D102 - as above
    @property
    def revoked_at(self) -> int | None: ...  # noqa: D102 - as above


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
    keyed = _keyed(pepper).copy()
    keyed.update(key.encode())
    return keyed.hexdigest()


@lru_cache(maxsize=8)
def _keyed(pepper: bytes) -> "hmac.HMAC":
    """The same of nothing yet; `hmac.digest` would hand the interpreter to another thread."""
    return hmac.new(pepper, digestmod=hashlib.sha256)


class KeyDoor:
    """Lets callers in by their API key; by what was `verified` before, while nobody can look.

    A key that was made under any of the `peppers` holds; they may change while it is open. `used` has when
    each key was last let in since somebody took that away.
    """

    def __init__(
        self,
        keys: Keys,
        peppers: Sequence[bytes],
        pseudonym: Callable[[str], str],
        clock: Clock,
        verified: Verified[Held] | None = None,
    ) -> None:
        self._keys, self._pseudonym, self._clock = keys, pseudonym, clock
        self._peppers = peppers
        self.used: dict[str, int] = {}
        self._verified: Verified[Held] = verified or Verified(clock)
        self._callers: dict[str, tuple[Held, Caller]] = {}

    async def identify(self, key: str) -> Caller:
        """Name the caller by the key.

        Raises:
            Unauthenticated: it does not hold.
            DatabaseError: nobody could look, and nobody has lately.
        """
        found = FORM.fullmatch(key)
        digest, *others = (digest_of(key, pepper) for pepper in self._peppers)
        held, stale = await self._look(found["id"], digest) if found else (None, False)
        kept = held.digest if held else NOBODY
        right = sum(hmac.compare_digest(each, kept) for each in (digest, *others))  # all, whichever it is
        if not (held and right and self._lives(held)):
            self._verified.drop(digest)
            raise Unauthenticated(REASON)
        if not stale:
            self._verified.note(digest, held)
        self.used[held.id] = self._clock()
        return self._named(held, stale=True) if stale else self._caller(held)

    def forget(self, user_id: str) -> None:
        """The keys of a user are gone: let none of them in while nobody can look."""
        self._callers.clear()
        self._verified.drop_all(lambda held: held.user_id == user_id)

    def rotated(self) -> None:
        """Keys and pseudonyms are others now: nobody is called as before."""
        self._callers.clear()

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

    def _caller(self, held: Held) -> Caller:
        """Who has that key, as it is kept just now: the same again as long as it is kept so."""
        known, caller = self._callers.get(held.id, (None, None))
        if caller is None or known != held:
            if len(self._callers) >= CAPACITY:
                self._callers.clear()
            caller = self._named(held, stale=False)
            self._callers[held.id] = held, caller
        return caller

    def _named(self, held: Held, *, stale: bool) -> Caller:
        tenant, user_id = parted(held.user_id)
        return Caller(
            user_id=user_id,
            role=held.role,
            method="api_key",
            credential_id=held.id,
            pseudonym=self._pseudonym(held.user_id),
            scopes=tuple(held.scopes),
            tenant=tenant,
            stale=stale,
        )

    def _lives(self, held: Held) -> bool:
        now = self._clock()
        return held.revoked_at is None and (held.expires_at is None or now < held.expires_at)
