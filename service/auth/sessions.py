"""Sessions of the console: opened by a code that is good once, carried by a cookie, ended by a logout.

Refuses a session that was ended, in whatever process; a code is kept as its hash, in memory only.
"""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from msgspec import Struct

from service.auth.credentials import SESSION
from service.auth.tokens import LEEWAY, Claims, Clock, Issuer, TokenDoor, sign
from service.auth.trust import OneKey
from service.auth.verified import Verified
from service.errors import DatabaseError, Unauthenticated
from telemetry import log, names
from telemetry.person import parted, person_of

KID = "parley-session"
PARLEY = "parley"
LIFE = 8 * 3_600
"""Seconds of a session."""
CODE_LIFE = 600
"""Seconds of a code."""
MICROSECONDS = 1_000_000
ISSUER = Issuer(name=PARLEY, audience=PARLEY, algorithm="HS256")
"""Of our own sessions."""
LINK = "link"
"""How a session began that a code opened."""
USED = "The sign-in code is unknown, used or expired."
ENDED = "The session was ended."


class Begun(Protocol):
    """A session that goes on."""

    @property
    def user_id(self) -> str: ...  # noqa: D102 - the person, as the session's table has it


class Ledger(Protocol):
    """Where sessions are noted until they would have expired; every method raises DatabaseError."""

    async def keep(
        self, session_id: str, user_id: str, role: str, method: str, begun: int, until: int
    ) -> None:
        """Note a session that begins; times are microseconds since 1970 (UTC)."""
        ...

    async def find(self, session_id: str, now: int) -> Begun | None:
        """One that goes on."""
        ...

    async def revoke(self, token_id: str, until: int, now: int) -> bool:
        """Keep a session's end; False where it was ended before."""
        ...

    async def revoke_all(self, user_id: str) -> Sequence[str]:
        """End all of a user; gives what they were called."""
        ...

    async def bar(self, person: str, subject: str, before: int) -> Sequence[str]:
        """End all of a person that were issued before then; `subject` is what they are called there."""
        ...

    async def revoked(self, *names: str, subjects: Sequence[str] = (), issued: int = 0) -> bool:
        """Whether a session or token of these names was ended, or all of its user's since it was issued."""
        ...


class Invitation(Struct, frozen=True):
    """Whom a code signs in, and until when: microseconds since 1970 (UTC)."""

    user_id: str
    role: str
    until: int


class Going(Struct, frozen=True, kw_only=True):
    """A session or token that holds by itself: its names, the first in use here, whose, and since when.

    `issued` is microseconds since 1970 (UTC), to the second; 0 where it does not say.
    """

    names: tuple[str, ...]
    person: str
    issued: int = 0


def itself(person: str) -> Sequence[str]:
    """Under what the end of all of a person's is kept, where nothing hides it."""
    return (person,)


class Sessions:
    """The sessions of this installation, and the codes of this process.

    `verified` has the sessions, and tokens of another issuer, that went on when somebody could look; sessions
    that were signed by any of the `keys` go on. `subjects` says under what names the end of all of a person's
    is kept, the newest first.
    """

    def __init__(
        self,
        keys: Sequence[bytes],
        ledger: Ledger,
        clock: Clock,
        verified: Verified[Going] | None = None,
        subjects: Callable[[str], Sequence[str]] = itself,
    ) -> None:
        self._keys, self._ledger, self._clock = keys, ledger, clock
        self._verified, self._subjects = verified or Verified[Going](clock), subjects
        self._invitations: dict[bytes, Invitation] = {}
        self._doors: dict[bytes, TokenDoor] = {}

    def invite(self, user_id: str, role: str) -> str:
        """A code that signs this user in: 256 random bits, good once, for ten minutes."""
        code = secrets.token_urlsafe(32)
        until = self._clock() + CODE_LIFE * MICROSECONDS
        self._invitations[_digest(code)] = Invitation(user_id, role, until)
        return code

    async def open(self, code: str) -> str:
        """Take a code and give the session it opens, as a token.

        Raises:
            Unauthenticated: the code is unknown, used or expired.
            DatabaseError: the session cannot be noted; the code is good still.
        """
        digest = _digest(code)
        invitation = self._invitations.pop(digest, None)
        if invitation is None or self._clock() >= invitation.until:
            raise Unauthenticated(USED)
        try:
            return await self.begin(invitation.user_id, invitation.role, LINK)
        except DatabaseError:
            self._invitations[digest] = invitation
            raise

    async def begin(self, person: str, role: str, method: str) -> str:
        """A session of a person who is known, as a token.

        Raises:
            DatabaseError: it cannot be noted, and nobody could end it.
        """
        name, at = secrets.token_hex(16), self._clock()
        now, (tenant, user_id) = at // MICROSECONDS, parted(person)
        claims = {
            "iss": PARLEY,
            "aud": PARLEY,
            "sub": user_id,
            **({"tenant": tenant} if tenant else {}),
            "role": role,
            "jti": name,
            "iat": now,
            "exp": now + LIFE,
        }
        await self._ledger.keep(name, person, role, method, at, _until(now + LIFE))
        log.say(names.SESSION_BEGUN, userId=user_id, role=role, method=method, sessionId=name)
        return sign(claims, self._keys[0], KID)

    async def read(self, token: str) -> Claims:
        """The claims of a session's token, ended or not.

        Raises:
            Unauthenticated: it is no session of ours, or has expired.
        """
        *others, last = self._keys
        for key in others:
            with suppress(Unauthenticated):
                return await self._door(key).read(token)
        return await self._door(last).read(token)

    def _door(self, key: bytes) -> TokenDoor:
        if key not in self._doors:
            self._doors[key] = TokenDoor(ISSUER, OneKey(key), self._clock)
        return self._doors[key]

    async def refuse_ended(self, going: Going) -> bool:
        """Let a session or token pass that goes on; True where nobody could look, and it went on lately.

        Raises:
            Unauthenticated: it was ended.
            DatabaseError: nobody could look, and nobody has lately.
        """
        name, subjects = going.names[0], self._subjects(going.person)
        try:
            ended = await self._ledger.revoked(*going.names, subjects=subjects, issued=going.issued)
        except DatabaseError:
            if self._verified.recall(name) == going:
                return True
            raise
        if ended:
            self._verified.drop(name)
            raise Unauthenticated(ENDED)
        self._verified.note(name, going)
        return False

    async def end(self, token_id: str, expires: float) -> None:
        """End a session, until it could no longer hold anyhow; `expires` is seconds since 1970 (UTC).

        Raises:
            DatabaseError: it goes on, but here only once somebody can look again.
        """
        self._verified.drop(token_id)
        await self._ledger.revoke(token_id, _until(expires), self._clock())

    async def end_all(self, user_id: str) -> Sequence[str]:
        """End all sessions of a user that began here, for other processes from their next look on.

        Gives what they were called.

        Raises:
            DatabaseError: they go on, but here only once somebody can look again.
        """
        self.forget(user_id)
        return await self._ledger.revoke_all(user_id)

    async def end_named(self, name: str, until: int, tenant: str | None, *, everywhere: bool = False) -> bool:
        """End whatever a tenant has of this name, or of this `jti`, and keep it ended until then.

        False where it was ended before. `until` is microseconds since 1970 (UTC); `everywhere` is in all
        tenants.

        Raises:
            DatabaseError: it goes on, but here only once somebody can look again.
        """
        at = self._clock()
        names = (name, name_anywhere(name)) if everywhere else (name_within(name, tenant),)
        self._verified.drop_all(lambda going: not {*names}.isdisjoint(going.names))
        if not everywhere and (begun := await self._ledger.find(name, at)):
            names += (name,) if parted(begun.user_id)[0] == tenant else ()
        return any([await self._ledger.revoke(each, until, at) for each in names])

    async def bar(self, person: str, before: int) -> Sequence[str]:
        """End all sessions and tokens of a person that were issued before then, here and in other processes.

        Gives what the sessions that were known were called; microseconds since 1970 (UTC).

        Raises:
            DatabaseError: they go on, but here only once somebody can look again.
        """
        self.forget(person)
        return await self._ledger.bar(person, next(iter(self._subjects(person))), before)

    def forget(self, person: str) -> None:
        """Let no session of a person in while nobody can look, and no code of theirs open one."""
        self._verified.drop_all(lambda going: going.person == person)
        for code, invitation in [*self._invitations.items()]:
            if invitation.user_id == person:
                del self._invitations[code]


def names_of(token_id: str, jti: str | None, tenant: str | None) -> tuple[str, ...]:
    """By what a session or token may have been ended: its name or `jti`, in all tenants or in its own."""
    own = (token_id, name_within(token_id, tenant))
    return own if jti is None or jti == token_id else (*own, name_anywhere(jti), name_within(jti, tenant))


def name_anywhere(jti: str) -> str:
    """What a token of another issuer is called by its own `jti`, of whatever length that is."""
    return _short(f"jti {jti}")


def name_within(name: str, tenant: str | None) -> str:
    """What a tenant's token is called by its name or `jti`: one of another tenant is called otherwise."""
    return _short(f"named {person_of(name, tenant)}")


def _short(said: str) -> str:
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _until(expires: float) -> int:
    """When a token can hold no longer whoever's clock it is by; microseconds."""
    return int((expires + LEEWAY) * MICROSECONDS)


def _digest(code: str) -> bytes:
    return hashlib.sha256(f"{SESSION} {code}".encode("utf-8", "surrogatepass")).digest()
