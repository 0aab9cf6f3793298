"""What a request brings to say who sends it, and the cookie that the console gives and takes back.

Refuses a cookie that a script could read, another site could send, or production would send without TLS.
"""

from typing import Any

from litestar import Request
from litestar.datastructures import Cookie

from service.auth.credentials import SESSION, Credentials
from service.auth.sessions import LIFE
from service.web.headers import text_of


def credentials_of(request: Request[Any, Any, Any]) -> Credentials:
    """The headers that tell."""
    return credentials_in(request.scope)


def credentials_in(scope: Any) -> Credentials:
    """The headers that tell, of a request that is not looked at otherwise."""
    return Credentials(
        authorization=text_of(scope, b"authorization"),
        cookie=text_of(scope, b"cookie"),
        sec_fetch_site=text_of(scope, b"sec-fetch-site"),
        origin=text_of(scope, b"origin"),
        host=text_of(scope, b"host"),
    )


def given(token: str, *, secure: bool) -> Cookie:
    """The cookie of a session that begins."""
    return _cookie(token, LIFE, secure=secure)


def taken(*, secure: bool) -> Cookie:
    """What makes a browser forget it."""
    return _cookie("", 0, secure=secure)


def _cookie(value: str, seconds: int, *, secure: bool) -> Cookie:
    return Cookie(
        key=SESSION, value=value, max_age=seconds, path="/", httponly=True, samesite="strict", secure=secure
    )
