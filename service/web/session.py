"""What a request brings to say who sends it, and the cookie that the console gives and takes back.

Refuses a cookie that a script could read, another site could send, or production would send without TLS.
"""

from typing import Any

from litestar import Request
from litestar.datastructures import Cookie

from service.auth.credentials import SESSION, Credentials
from service.auth.sessions import LIFE


def credentials_of(request: Request[Any, Any, Any]) -> Credentials:
    """The headers that tell; one that came several times is one, as HTTP has it."""
    return Credentials(
        authorization=_header(request, "authorization"),
        cookie=_header(request, "cookie", "; "),
        sec_fetch_site=_header(request, "sec-fetch-site"),
        origin=_header(request, "origin"),
        host=_header(request, "host"),
    )


def given(token: str, *, secure: bool) -> Cookie:
    """The cookie of a session that begins."""
    return _cookie(token, LIFE, secure=secure)


def taken(*, secure: bool) -> Cookie:
    """What makes a browser forget it."""
    return _cookie("", 0, secure=secure)


def _header(request: Request[Any, Any, Any], name: str, between: str = ", ") -> str | None:
    values = request.headers.getall(name, [])
    return between.join(values) if values else None


def _cookie(value: str, seconds: int, *, secure: bool) -> Cookie:
    return Cookie(
        key=SESSION, value=value, max_age=seconds, path="/", httponly=True, samesite="strict", secure=secure
    )
