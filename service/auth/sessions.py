"""Sessions of the console: opened by a code that is good once, carried by a cookie, ended by a logout.

Refuses a session that was ended, in whatever process; a code is kept as its hash, in memory only.
"""

import hashlib
import secrets
from typing import Protocol

from msgspec import Struct

from service.auth.credentials import SESSION
from service.auth.tokens import LEEWAY, Claims, Clock, Issuer, TokenDoor, sign
from service.auth.trust import OneKey
from service.auth.verified import Verified
from service.errors import DatabaseError, Unauthenticated

KID = "parley-session"
PARLEY = "parley"
LIFE = 8 * 3_600
"""Seconds of a session."""
CODE_LIFE = 600
"""Seconds of a code."""
MICROSECONDS = 1_000_000
USED = "The sign-in code is unknown, used or expired."
ENDED = "The session was ended."


class Revocations(Protocol):
    """Where ended sessions are kept until they would have expired; every method raises DatabaseError."""

    async def revoke(self, token_id: str, until: int, now: int) -> None:
        """Keep a session's end; times are microseconds since 1970 (UTC)."""
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

    `verified` are the sessions, and tokens of another issuer, that went on when somebody could look.
    """

    def __init__(
        self, key: bytes, revocations: Revocations, clock: Clock, verified: Verified[bool] | None = None
    ) -> None:
        self._key, self._revocations, self._clock = key, revocations, clock
        self._verified = verified or Verified[bool](clock)
        issuer = Issuer(name=PARLEY, audience=PARLEY, algorithm="HS256")
        self._door = TokenDoor(issuer, OneKey(key), clock)
        self._invitations: dict[bytes, Invitation] = {}

    def invite(self, user_id: str, role: str) -> str:
        """A code that signs this user in: 256 random bits, good once, for ten minutes."""
        code = secrets.token_urlsafe(32)
        until = self._clock() + CODE_LIFE * MICROSECONDS
        self._invitations[_digest(code)] = Invitation(user_id, role, until)
        return code

    def open(self, code: str) -> str:
        """Take a code and give the session it opens, as a token.

        Raises:
            Unauthenticated: the code is unknown, used or expired.
        """
        invitation = self._invitations.pop(_digest(code), None)
        if invitation is None or self._clock() >= invitation.until:
            raise Unauthenticated(USED)
        return self._issue(invitation)

    async def read(self, token: str) -> Claims:
        """The claims of a session's token, ended or not.

        Raises:
            Unauthenticated: it is no session of ours, or has expired.
        """
        return await self._door.read(token)

    async def refuse_ended(self, token_id: str) -> bool:
        """Let a session pass that goes on; True where nobody could look, and it went on lately.

        Raises:
            Unauthenticated: it was ended.
            DatabaseError: nobody could look, and nobody has lately.
        """
        try:
            ended = await self._revocations.revoked(token_id)
        except DatabaseError:
            if self._verified.recall(token_id):
                return True
            raise
        if ended:
            self._verified.drop(token_id)
            raise Unauthenticated(ENDED)
        self._verified.note(token_id, True)
        return False

    async def end(self, token_id: str, expires: float) -> None:
        """End a session, until it could no longer hold anyhow; `expires` is seconds since 1970 (UTC).

        Raises:
            DatabaseError: it goes on, but here only once somebody can look again.
        """
        self._verified.drop(token_id)
        until = int((expires + LEEWAY) * MICROSECONDS)
        await self._revocations.revoke(token_id, until, self._clock())

    def _issue(self, invitation: Invitation) -> str:
        now = self._clock() // MICROSECONDS
        claims = {
            "iss": PARLEY,
            "aud": PARLEY,
            "sub": invitation.user_id,
            "role": invitation.role,
            "jti": secrets.token_hex(16),
            "iat": now,
            "exp": now + LIFE,
        }
        return sign(claims, self._key, KID)


def _digest(code: str) -> bytes:
    return hashlib.sha256(f"{SESSION} {code}".encode("utf-8", "surrogatepass")).digest()
