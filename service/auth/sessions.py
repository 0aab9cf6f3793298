"""Sessions of the console: opened by a code that is good once, carried by a cookie, ended by a logout.

Refuses a session that was ended, in whatever process; a code is kept as its hash, in memory only.
"""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from service.auth.credentials import SESSION
from service.auth.tokens import LEEWAY, Claims, Clock, Issuer, TokenDoor, sign
from service.auth.trust import OneKey
from service.auth.verified import Verified
from service.errors import DatabaseError, Unauthenticated
from telemetry import log, names

KID = "parley-session"
PARLEY = "parley"
LIFE = 8 * 3_600
"""Seconds of a session."""
CODE_LIFE = 600
"""Seconds of a code."""
MICROSECONDS = 1_000_000
LINK = "link"
"""How a session began that a code opened."""
USED = "The sign-in code is unknown, used or expired."
ENDED = "The session was ended."


class Ledger(Protocol):
    """Where sessions are noted until they would have expired; every method raises DatabaseError."""

    async def keep(
        self, session_id: str, user_id: str, role: str, method: str, begun: int, until: int
    ) -> None:
        """Note a session that begins; times are microseconds since 1970 (UTC)."""
        ...

    async def revoke(self, token_id: str, until: int, now: int) -> bool:
        """Keep a session's end; False where it was ended before."""
        ...

    async def revoke_all(self, user_id: str) -> Sequence[str]:
        """End all of a user; gives what they were called."""
        ...

    async def revoked(self, token_id: str) -> bool:
        """Whether the session was ended."""
        ...


class Invitation(Struct, frozen=True):
    """Whom a code signs in, and until when: microseconds since 1970 (UTC)."""

    user_id: str
    role: str
    until: int


class Sessions:
    """The sessions of this installation, and the codes of this process.

    `verified` are the sessions, and tokens of another issuer, that went on when somebody could look, by user.
    """

    def __init__(
        self, key: bytes, ledger: Ledger, clock: Clock, verified: Verified[str] | None = None
    ) -> None:
        self._key, self._ledger, self._clock = key, ledger, clock
        self._verified = verified or Verified[str](clock)
        issuer = Issuer(name=PARLEY, audience=PARLEY, algorithm="HS256")
        self._door = TokenDoor(issuer, OneKey(key), clock)
        self._invitations: dict[bytes, Invitation] = {}

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

    async def begin(self, user_id: str, role: str, method: str) -> str:
        """A session of somebody who is known, as a token.

        Raises:
            DatabaseError: it cannot be noted, and nobody could end it.
        """
        name, at = secrets.token_hex(16), self._clock()
        now = at // MICROSECONDS
        claims = {
            "iss": PARLEY,
            "aud": PARLEY,
            "sub": user_id,
            "role": role,
            "jti": name,
            "iat": now,
            "exp": now + LIFE,
        }
        await self._ledger.keep(name, user_id, role, method, at, _until(now + LIFE))
        log.say(names.SESSION_BEGUN, userId=user_id, role=role, method=method, sessionId=name)
        return sign(claims, self._key, KID)

    async def read(self, token: str) -> Claims:
        """The claims of a session's token, ended or not.

        Raises:
            Unauthenticated: it is no session of ours, or has expired.
        """
        return await self._door.read(token)

    async def refuse_ended(self, token_id: str, user_id: str) -> bool:
        """Let a session of a user pass that goes on; True where nobody could look, and it went on lately.

        Raises:
            Unauthenticated: it was ended.
            DatabaseError: nobody could look, and nobody has lately.
        """
        try:
            ended = await self._ledger.revoked(token_id)
        except DatabaseError:
            if self._verified.recall(token_id) == user_id:
                return True
            raise
        if ended:
            self._verified.drop(token_id)
            raise Unauthenticated(ENDED)
        self._verified.note(token_id, user_id)
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

    def forget(self, user_id: str) -> None:
        """Let no session of a user in while nobody can look."""
        self._verified.drop_all(lambda whose: whose == user_id)


def _until(expires: float) -> int:
    """When a token can hold no longer whoever's clock it is by; microseconds."""
    return int((expires + LEEWAY) * MICROSECONDS)


def _digest(code: str) -> bytes:
    return hashlib.sha256(f"{SESSION} {code}".encode("utf-8", "surrogatepass")).digest()
