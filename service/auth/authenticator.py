"""The one door for callers: credentials -> Caller, whatever kind of credential it is.

Refuses cookies on requests that other sites start; a header that a program sets needs no such care.
"""

import hashlib
from collections.abc import Callable

from msgspec import UNSET, Struct, structs

from service.auth.credentials import NEEDED, Credentials, bearer, session_cookie
from service.auth.keys import PREFIX, KeyDoor
from service.auth.permissions import CONTENT_SCOPE
from service.auth.sessions import KID, MICROSECONDS, Going, Sessions, names_of
from service.auth.site import refuse_other_sites
from service.auth.tokens import LEEWAY, Claims, TokenDoor, header_of
from service.errors import Unauthenticated
from telemetry.record import Caller

ID_DIGITS = 32


class Read(Struct, frozen=True):
    """A token that holds: what it says, what it is called, and whose it is.

    `stale` where nobody could look whether it was ended.
    """

    claims: Claims
    token_id: str
    method: str
    stale: bool = False


class Authenticator:
    """Names callers. `tokens` is None where no other issuer is trusted."""

    def __init__(
        self,
        keys: KeyDoor,
        tokens: TokenDoor | None,
        sessions: Sessions,
        pseudonym: Callable[[str], str],
    ) -> None:
        self._keys, self._tokens, self.sessions, self._pseudonym = keys, tokens, sessions, pseudonym

    async def identify(self, given: Credentials) -> Caller:
        """Name the caller; where both a header and a cookie came, the header counts.

        Raises:
            Unauthenticated: there is no credential, or it does not hold.
            CrossSite: a cookie came, and another site started the request.
            DatabaseError, UpstreamUnreachable: nobody could look, and nobody has lately.
        """
        if given.authorization is None:
            return self._caller(await self._cookie(given))
        token = bearer(given.authorization)
        if self._tokens is None or token.startswith(PREFIX):
            return await self._keys.identify(token)
        return self._caller(await self._going_on(await self._issued(token, self._tokens)))

    @property
    def used(self) -> dict[str, int]:
        """When each API key was last let in, by its id, since somebody took that away; microseconds."""
        return self._keys.used

    def forget(self, user_id: str) -> None:
        """A user was erased, with keys and sessions: none lets anybody in while nobody can look."""
        self._keys.forget(user_id)
        self.sessions.forget(user_id)

    def rotated(self) -> None:
        """The installation's root secret is another now."""
        self._keys.rotated()

    def drop_key(self, key_id: str) -> None:
        """A key was revoked: it lets nobody in while nobody can look."""
        self._keys.drop(key_id)

    async def sign_out(self, given: Credentials) -> None:
        """End the session of the cookie; its token counts no more, in a cookie or a header, in any process.

        Raises:
            Unauthenticated, CrossSite, DatabaseError, UpstreamUnreachable: there is none to end.
        """
        read = await self._cookie(given)
        await self.sessions.end(read.token_id, read.claims.exp)

    async def _cookie(self, given: Credentials) -> Read:
        token = session_cookie(given.cookie)
        refuse_other_sites(given)
        if header_of(token).get("kid") == KID:
            read = await self._own(token)
        elif self._tokens:
            read = await self._issued(token, self._tokens)
        else:
            raise Unauthenticated(NEEDED)
        return await self._going_on(read)

    async def _going_on(self, read: Read) -> Read:
        claims = read.claims
        known = names_of(read.token_id, None if claims.jti is UNSET else claims.jti, claims.tenant or None)
        going = Going(names=known, person=claims.person, issued=_issued(read))
        stale = await self.sessions.refuse_ended(going)
        return structs.replace(read, stale=stale)

    async def _own(self, token: str) -> Read:
        claims = await self.sessions.read(token)
        return Read(claims, _id(token) if claims.jti is UNSET else claims.jti, "session")

    async def _issued(self, token: str, door: TokenDoor) -> Read:
        return Read(await door.read(token), _id(token), "jwt")

    def _caller(self, read: Read) -> Caller:
        claims = read.claims
        return Caller(
            user_id=claims.sub,
            role=claims.role,
            method=read.method,
            credential_id=read.token_id,
            pseudonym=self._pseudonym(claims.person),
            scopes=tuple(word for word in claims.scope.split() if word == CONTENT_SCOPE),
            tenant=claims.tenant or None,
            stale=read.stale,
        )


def _issued(read: Read) -> int:
    """When it was issued, at the earliest: another issuer's clock may be ahead of ours."""
    at, ahead = read.claims.iat, LEEWAY if read.method == "jwt" else 0
    return 0 if at is UNSET else (int(at) - ahead) * MICROSECONDS


def _id(token: str) -> str:
    """What a token is called: a digest of what is signed; a signature may be written in several ways."""
    return hashlib.sha256(token.rpartition(".")[0].encode()).hexdigest()[:ID_DIGITS]
