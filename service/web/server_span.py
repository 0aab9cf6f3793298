"""The SERVER span: one for each request, named by its route's template, lasting to the last byte.

Refuses the raw path as `http.route`: an attacker could make series of it.
"""

from functools import partial
from typing import Any

from litestar import Litestar
from litestar.types import ASGIApp
from litestar.utils.path import normalize_path
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

UNTRACED = "/health/"


def traced(app: ASGIApp, litestar: Litestar) -> Any:
    """Wrap the application; the health routes, asked every few seconds by machines, leave no spans."""
    return OpenTelemetryMiddleware(
        app,
        default_span_details=partial(details, litestar),
        exclude_spans=["receive", "send"],
        excluded_urls=UNTRACED,
    )


def details(litestar: Litestar, scope: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """`METHOD template` and the route; the method alone where there is no route."""
    method = scope.get("method", "")
    try:
        *_, template = litestar.asgi_router.handle_routing(path=normalize_path(scope["path"]), method=method)
    except Exception:  # noqa: BLE001 - no route, whatever Litestar says of it
        return method or "HTTP", {}
    return f"{method} {template}", {"http.route": template}
