"""What a request brings to say who sends it: headers as text, of which nothing is believed yet.

Refuses two answers to one question: of several `session` cookies none counts.
"""

from typing import NoReturn

from msgspec import Struct

from service.errors import Unauthenticated

SESSION = "session"
"""The cookie's name."""

USER_NAME = r"[^\s\x00-\x1f\x7f\x85\ud800-\udfff]{1,128}"
"""What a user may be called, wherever the name comes from."""

NEEDED = "A credential is required: Authorization: Bearer <API key or token>, or the session cookie."


class Credentials(Struct, frozen=True, kw_only=True):
    """The headers that tell, each None where it did not come."""

    authorization: str | None = None
    cookie: str | None = None
    sec_fetch_site: str | None = None
    origin: str | None = None
    host: str | None = None


def bearer(authorization: str) -> str:
    """The token of a Bearer header.

    Raises:
        Unauthenticated: it is of another scheme, or empty.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip().isascii() or not token.strip():
        raise Unauthenticated(NEEDED)
    return token.strip()


def session_cookie(cookie: str | None) -> str:
    """The value of the `session` cookie in a Cookie header.

    Raises:
        Unauthenticated: there is none, or there are several.
    """
    return one_cookie(cookie, SESSION) or _needed()


def one_cookie(cookie: str | None, named: str) -> str:
    """The value of the cookie of this name in a Cookie header; empty where there is none, or several."""
    pairs = (part.partition("=") for part in (cookie or "").split(";"))
    values = [value.strip() for name, _, value in pairs if name.strip() == named]
    return values[0] if len(values) == 1 else ""


def _needed() -> NoReturn:
    raise Unauthenticated(NEEDED)
