"""The SERVER span: one for each request, named by its route's template, lasting to the last byte.

Refuses the raw path, of which an attacker could make series and which may name a user, and the query string,
which may hold a sign-in code or words that somebody searches the audit for.
"""

from typing import Any

from litestar import HttpMethod, Litestar
from litestar.types import ASGIApp, Receive, Scope, Send
from litestar.utils.path import normalize_path
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

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


def details(litestar: Litestar, scope: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """`METHOD template` and the route; the method alone where there is no route, HTTP where it is none."""
    method = scope.get("method", "")
    try:
        *_, template = litestar.asgi_router.handle_routing(path=normalize_path(scope["path"]), method=method)
    except Exception:  # noqa: BLE001 - no route, whatever Litestar says of it
        return method if method in METHODS else "HTTP", {}
    return f"{method} {template}", {"http.route": template}
