"""/ and /console/...: sign in by a code that is good once, see who you are, sign out.

Refuses scripts, frames and anything from elsewhere: the pages are text, links and one button.
"""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Annotated

from litestar import MediaType, Response, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta, Struct

from service.auth.authenticator import Authenticator
from service.auth.permissions import Action, may
from service.web import session
from service.web.desk import Asking, Desk
from service.web.parameters import Nothing, read
from telemetry.record import Caller

HOME = "/console/"
SIGN_IN = "/console/sign-in"
SIGN_OUT = "/console/logout"
SEE_OTHER = 303
PAGES = Path(__file__).parent / "pages"

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "content-security-policy": (
            "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        ),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
    }
)

LINKS: Mapping[str, Action] = MappingProxyType(
    {
        "/schema": Action.OWN,
        "/api/v1/conversations": Action.OWN,
        "/api/v1/limits": Action.OWN,
        "/api/v1/usage": Action.OWN,
        "/api/v1/audit/events": Action.AUDIT,
        "/api/v1/audit/export": Action.EXPORT,
    }
)
"""What the page leads to, for those who may."""


MODEL = {
    True: "Answers come from the simulator, not from a model.",
    False: "Answers come from the model's API.",
}
"""Who answers, by whether it is simulated."""


class SignIn(Struct, frozen=True, kw_only=True):
    """The parameters of a sign-in."""

    code: Annotated[str, Meta(max_length=256)] = ""


def link(address: str, code: str) -> str:
    """Where a code signs in, at the service of this address."""
    return f"{address}{SIGN_IN}?code={code}"


def routes(door: Authenticator, desk: Desk, *, secure: bool, simulated: bool) -> list[HTTPRouteHandler]:
    """The console's routes; `secure` keeps its cookie to TLS."""

    @get(SIGN_IN, include_in_schema=False)
    async def sign_in(request: Asking) -> Response[str]:
        code = read(SignIn, request.scope["query_string"]).code
        cookie = session.given(await door.sessions.open(code), secure=secure)
        led = _lead_home()
        led.set_cookie(cookie)
        return led

    @get(HOME, include_in_schema=False)
    async def home(request: Asking) -> Response[str]:
        caller = await desk.admit(request, Action.OWN)
        read(Nothing, request.scope["query_string"])
        return _home(caller, MODEL[simulated])

    @post(SIGN_OUT, status_code=200, include_in_schema=False)
    async def sign_out(request: Asking) -> Response[str]:
        read(Nothing, request.scope["query_string"])
        await door.sign_out(session.credentials_of(request))
        page = _page("signed_out.html")
        page.set_cookie(session.taken(secure=secure))
        return page

    return [root, sign_in, home, sign_out]


@get("/", include_in_schema=False)
async def root() -> Response[str]:
    """The root leads to the console."""
    return _lead_home()


def _lead_home() -> Response[str]:
    headers = {**HEADERS, "location": HOME}
    return Response("", status_code=SEE_OTHER, media_type=MediaType.TEXT, headers=headers)


def _home(caller: Caller, model: str) -> Response[str]:
    user, links = escape(caller.user_id), _links(caller)
    return _page("console.html", user=user, role=caller.role, links=links, model=model)


def _links(caller: Caller) -> str:
    open_to = [path for path, action in LINKS.items() if may(caller, action)]
    return "\n".join(f'<li><a href="{path}">{path}</a></li>' for path in open_to)


def _page(name: str, **words: str) -> Response[str]:
    text = Template((PAGES / name).read_text(encoding="utf-8")).substitute(words)
    return Response(text, media_type=MediaType.HTML, headers=dict(HEADERS))
