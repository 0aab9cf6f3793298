"""/console/oidc/start and /console/oidc/callback: to the provider of OpenID Connect, and back with a session.

Refuses to lead anywhere but to the provider and to pages of the console.
"""

from typing import Annotated, Any, Protocol
from urllib.parse import parse_qsl

from litestar import Response, get
from litestar.datastructures import Cookie
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta, Struct, structs

from service.auth.credentials import one_cookie
from service.auth.pending import COOKIE, LIFE, Answer
from service.errors import InvalidRequest
from service.web import session
from service.web.console.pages import Pages
from service.web.desk import Asking
from service.web.parameters import read
from telemetry.recorder import microseconds

START = "/console/oidc/start"
CALLBACK = "/console/oidc/callback"
HERE = "/console/oidc/"
"""The only pages that the cookie of a sign-in under way is sent to."""
LONGEST = 4_096
"""Characters of a parameter that the provider gives."""
TWICE = "The provider's answer says a thing twice, or at too great a length."


class Signing(Protocol):
    """Signing in at a provider; see `service.auth.sign_in.SignIn`."""

    async def start(self, to: str) -> tuple[str, str]:
        """Where the browser goes, and the cookie that it keeps meanwhile."""
        ...

    async def finish(self, answer: Answer, cookie: str, now: int) -> tuple[str, str]:
        """The session's token, and where the browser is led."""
        ...


class Wish(Struct, frozen=True, kw_only=True):
    """Where somebody wants to be once signed in: a page of the console."""

    to: Annotated[str, Meta(pattern=r"^/console/(?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-]*\Z", max_length=256)] = (
        "/console/"
    )


def routes(pages: Pages, sign_in: Signing) -> list[HTTPRouteHandler]:
    """The two routes."""
    secure = pages.installation.secure

    @get(START, include_in_schema=False)
    async def start(request: Asking) -> Response[str]:
        wish = read(Wish, request.scope["query_string"])
        url, sealed = await sign_in.start(wish.to)
        led = pages.lead(url)
        led.set_cookie(_cookie(sealed, LIFE, secure=secure))
        return led

    @get(CALLBACK, include_in_schema=False)
    async def callback(request: Asking) -> Response[str]:
        sealed = one_cookie(session.credentials_of(request).cookie, COOKIE)
        token, to = await sign_in.finish(answer_of(request.scope["query_string"]), sealed, microseconds())
        # no redirect: the provider's page began this request, and a strict cookie goes with none of those
        shown = pages.show("moved", to=to)
        shown.set_cookie(session.given(token, secure=secure))
        shown.set_cookie(_cookie("", 0, secure=secure))
        return shown

    return [start, callback]


def answer_of(query: bytes) -> Answer:
    """What the provider gave the browser; of what else may be there nothing counts.

    Raises:
        InvalidRequest: it says a thing twice, or is no query string.
    """
    try:
        pairs = parse_qsl(query.decode("ascii"), errors="strict", max_num_fields=50)
    except ValueError as error:  # UnicodeDecodeError is one
        raise InvalidRequest(TWICE) from error
    known = [(name, value) for name, value in pairs if name in Answer.__struct_fields__]
    if len(dict(known)) < len(known) or any(len(value) > LONGEST for _, value in known):
        raise InvalidRequest(TWICE)
    return structs.replace(Answer(), **dict(known))


def _cookie(value: str, seconds: int, *, secure: bool) -> Cookie:
    """Lax: the provider's page leads back here, and a strict one would stay behind."""
    rules: dict[str, Any] = {"path": HERE, "httponly": True, "samesite": "lax", "secure": secure}
    return Cookie(key=COOKIE, value=value, max_age=seconds, **rules)
