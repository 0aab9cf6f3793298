"""The console's doors: the sign-in by a code that is good once, the first page, the way out.

Refuses everybody without a session, and to let another site sign anybody out.
"""

from typing import Annotated

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta, Struct

from service.auth.authenticator import Authenticator
from service.auth.permissions import Action
from service.web import session
from service.web.console.navigation import PAGES, ROUTES, open_to
from service.web.console.pages import Pages
from service.web.desk import Asking, Desk
from service.web.parameters import Nothing, read

HOME = "/console/"
CHAT = "/console/chat"
SIGN_IN = "/console/sign-in"
SIGN_OUT = "/console/logout"


class SignIn(Struct, frozen=True, kw_only=True):
    """The parameters of a sign-in."""

    code: Annotated[str, Meta(max_length=256)] = ""


def link(address: str, code: str) -> str:
    """Where a code signs in, at the service of this address."""
    return f"{address}{SIGN_IN}?code={code}"


def routes(pages: Pages, door: Authenticator, desk: Desk) -> list[HTTPRouteHandler]:
    """The doors."""
    secure = pages.installation.secure

    @get("/", include_in_schema=False)
    async def root() -> Response[str]:
        return pages.lead(HOME)

    @get(SIGN_IN, include_in_schema=False)
    async def sign_in(request: Asking) -> Response[str]:
        code = read(SignIn, request.scope["query_string"]).code
        led = pages.lead(CHAT)
        led.set_cookie(session.given(await door.sessions.open(code), secure=secure))
        return led

    @get(HOME, include_in_schema=False)
    async def home(request: Asking) -> Response[str]:
        caller = await desk.admit(request, Action.OWN)
        read(Nothing, request.scope["query_string"])
        routes = tuple(open_to(caller, ROUTES))
        return pages.show("home", caller, HOME, pages=tuple(open_to(caller, PAGES)), routes=routes)

    @post(SIGN_OUT, status_code=200, include_in_schema=False)
    async def sign_out(request: Asking) -> Response[str]:
        read(Nothing, request.scope["query_string"])
        await door.sign_out(session.credentials_of(request))
        page = pages.show("signed_out", everywhere=False)
        page.set_cookie(session.taken(secure=secure))
        return page

    return [root, sign_in, home, sign_out]
