"""The SERVER span: one for each request, named by its route's template, lasting to the last byte.

Refuses the raw path, of which an attacker could make series and which may name a user, and the query string,
which may hold a sign-in code or words that somebody searches the audit for.
"""

from functools import lru_cache
from typing import Any

from litestar import HttpMethod, Litestar
from litestar.types import ASGIApp, Receive, Scope, Send
from litestar.utils.path import normalize_path
from opentelemetry import context, propagate
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware, asgi_getter

UNTRACED = "/health/"
VEILED = "parley.veiled"
"""Where a scope without its path and query string keeps the whole one."""
DETAILS = "parley.span"
"""Where it keeps the span's name and attributes."""
NO_ROUTE = "/(no route)"
METHODS = frozenset(each.value for each in HttpMethod)


def traced(app: ASGIApp, litestar: Litestar) -> ASGIApp:
    """Wrap the application; the health routes, asked every few seconds by machines, leave no spans."""
    spanned: Any = OpenTelemetryMiddleware(
        _unveiled(app), default_span_details=_known, exclude_spans=["receive", "send"]
    )

    async def choose(scope: Scope, receive: Receive, send: Send) -> None:
        # The middleware's own `excluded_urls` looks into the Host header too: a caller could hide by it.
        hidden = scope["type"] == "http" and scope["path"].startswith(UNTRACED)
        await app(scope, receive, send) if hidden else await spanned(_veiled(litestar, scope), receive, send)

    return choose


def led(app: ASGIApp) -> ASGIApp:
    """Wrap the application where nobody takes spans: what a caller says of its trace holds all the same."""
    fields = frozenset(name.encode() for name in propagate.get_global_textmap().fields)

    async def lead(scope: Any, receive: Receive, send: Send) -> None:
        if fields.isdisjoint(name for name, _ in scope.get("headers", ())):
            await app(scope, receive, send)
            return
        token = context.attach(propagate.extract(scope, getter=asgi_getter))
        try:
            await app(scope, receive, send)
        finally:
            context.detach(token)

    return lead


def _veiled(litestar: Litestar, scope: Any) -> dict[str, Any]:
    """The scope as the middleware may tell it: the template stands for the path."""
    name, attributes = details(litestar, scope)
    path = attributes.get("http.route", NO_ROUTE)
    veil = {"path": path, "query_string": b"", DETAILS: (name, attributes), VEILED: scope}
    return {**scope, **veil}


def _known(scope: dict[str, Any]) -> tuple[str, dict[str, str]]:
    return scope[DETAILS]


def _unveiled(app: ASGIApp) -> ASGIApp:
    async def unveil(scope: Any, receive: Receive, send: Send) -> None:
        await app(scope[VEILED], receive, send)

    return unveil


@lru_cache(maxsize=256)
def _template(litestar: Litestar, path: str, method: Any) -> str:
    """The route's template; raises whatever Litestar does where there is none."""
    *_, template = litestar.asgi_router.handle_routing(path=normalize_path(path), method=method)
    return template


def details(litestar: Litestar, scope: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """`METHOD template` and the route; the method alone where there is no route, HTTP where it is none."""
    method = scope.get("method", "")
    try:
        template = _template(litestar, scope["path"], method)
    except Exception:  # noqa: BLE001 - no route, whatever Litestar says of it
        return method if method in METHODS else "HTTP", {}
    return f"{method} {template}", {"http.route": template}
