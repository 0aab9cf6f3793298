"""JSON Web Tokens: signed text -> claims that hold. The only file that knows pyjwt.

Refuses a token's own word on how it wants to be checked: algorithm and keys are ours.
"""

import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Protocol

import jwt
import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from config.settings import ROLE_NAME, Algorithm
from service.auth.credentials import USER_NAME
from service.auth.json_object import read_object
from service.errors import Unauthenticated
from telemetry.person import person_of

LONGEST = 16_384
"""Characters of a whole token."""
LEEWAY = 30
"""Seconds that two clocks may differ."""
FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
TYPES = frozenset({"jwt", "at+jwt"})
FORBIDDEN = frozenset({"crit", "jku", "x5u", "jwk", "x5c", "b64", "zip", "cty"})
"""Headers by which a token brings its own key, or asks to be read in another way."""

UNTRUSTED = "The token is not one that is trusted here."
CLAIMS = "The token needs the claims exp, iss, aud, sub and role, each of its own form."

Clock = Callable[[], int]
"""Microseconds since 1970 (UTC)."""
Second = Annotated[float, Meta(ge=0, le=253_402_300_799)]
"""Seconds since 1970 (UTC), until the year 9999."""


class Claims(Struct, frozen=True, kw_only=True):
    """What a token says; `scope` is words between blanks, `tenant` the one that the user belongs to."""

    iss: str
    aud: str | tuple[str, ...]
    sub: Annotated[str, Meta(pattern=rf"^{USER_NAME}\Z")]
    role: Annotated[str, Meta(pattern=rf"^{ROLE_NAME}\Z")]
    exp: Second
    nbf: Second | UnsetType = UNSET
    iat: Second | UnsetType = UNSET
    jti: str | UnsetType = UNSET
    scope: str = ""
    tenant: Annotated[str, Meta(pattern=rf"^{USER_NAME}\Z")] | UnsetType = UNSET

    @property
    def person(self) -> str:
        """The user within the tenant."""
        return person_of(self.sub, self.tenant or None)


class Issuer(Struct, frozen=True, kw_only=True):
    """Whose tokens hold, whom they must be for, and how they must be signed."""

    name: str
    audience: str
    algorithm: Algorithm


class Keys(Protocol):
    """Where an issuer's keys are."""

    async def find(self, kid: str | None) -> Any:
        """The key of this id, None where there is none; raises UpstreamUnreachable."""
        ...


class TokenDoor:
    """Reads the tokens of one issuer."""

    def __init__(self, issuer: Issuer, keys: Keys, clock: Clock) -> None:
        self._issuer, self._keys, self._clock = issuer, keys, clock
        self._signatures = jwt.PyJWS(algorithms=[issuer.algorithm])

    async def read(self, token: str) -> Claims:
        """The claims of a token.

        Raises:
            Unauthenticated: it does not hold.
            UpstreamUnreachable: the issuer's keys cannot be had.
        """
        header = header_of(token)
        if header.get("alg") != self._issuer.algorithm:
            raise Unauthenticated(UNTRUSTED)
        key = await self._keys.find(header.get("kid"))
        if key is None:
            raise Unauthenticated(UNTRUSTED)
        claims = _claims(_payload(self._signatures, token, key, self._issuer.algorithm))
        self._check(claims)
        return claims

    def _check(self, claims: Claims) -> None:
        """Whoever gets here holds a token of the issuer, and may know what is wrong with it."""
        now, issuer = self._clock() / 1_000_000, self._issuer
        audience = (claims.aud,) if isinstance(claims.aud, str) else claims.aud
        wrong = {
            "is of another issuer": claims.iss != issuer.name,
            "is for somebody else": issuer.audience not in audience,
            "has expired": now >= claims.exp + LEEWAY,
            "does not hold yet": any(_later(each, now) for each in (claims.nbf, claims.iat)),
        }
        for what, so in wrong.items():
            if so:
                raise Unauthenticated(f"The token {what}.")


def header_of(token: str) -> Mapping[str, Any]:
    """The header of a token; nothing of it is proven.

    Raises:
        Unauthenticated: it is no token of a form that is read here.
    """
    if len(token) > LONGEST or not FORM.fullmatch(token):
        raise Unauthenticated(UNTRUSTED)
    try:
        header = read_object(_decoded(token.partition(".")[0]))
    except ValueError as error:
        raise Unauthenticated(UNTRUSTED) from error
    kid, kind = header.get("kid", ""), header.get("typ", "JWT")
    known = isinstance(kid, str) and isinstance(kind, str) and kind.lower() in TYPES
    if not known or FORBIDDEN & header.keys():
        raise Unauthenticated(UNTRUSTED)
    return header


def payload_of(token: str, key: Any, algorithm: Algorithm) -> bytes:
    """What the owner of a key signed, by this algorithm and no other.

    Raises:
        Unauthenticated: it is not signed so.
    """
    return _payload(jwt.PyJWS(algorithms=[algorithm]), token, key, algorithm)


def sign(claims: Mapping[str, Any], key: bytes, kid: str) -> str:
    """A token of our own, HS256."""
    return jwt.encode(dict(claims), key, algorithm="HS256", headers={"kid": kid})


def shared_key(secret: str) -> bytes:
    """A secret as a key of HS256.

    Raises:
        ValueError: it is somebody's public key, which is no secret.
    """
    try:
        return jwt.PyJWS().get_algorithm_by_name("HS256").prepare_key(secret)
    except jwt.InvalidKeyError as error:
        raise ValueError("a public key is no secret") from error


def key_of(entry: Mapping[str, Any], algorithm: Algorithm) -> Any:
    """The key of a JWK (RFC 7517).

    Raises:
        ValueError: it is none of that algorithm.
    """
    try:
        return jwt.PyJWK(dict(entry), algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError("no key") from error


def _payload(signatures: jwt.PyJWS, token: str, key: Any, algorithm: Algorithm) -> bytes:
    try:
        return signatures.decode(token, key, algorithms=[algorithm])
    except jwt.PyJWTError as error:
        raise Unauthenticated(UNTRUSTED) from error


def _claims(payload: bytes) -> Claims:
    try:
        return msgspec.convert(read_object(payload), Claims)
    except ValueError as error:  # msgspec's own is one
        raise Unauthenticated(CLAIMS) from error


def _later(moment: float | UnsetType, now: float) -> bool:
    return moment is not UNSET and moment > now + LEEWAY


def _decoded(part: str) -> bytes:
    """The bytes of base64url without padding; raises ValueError."""
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
