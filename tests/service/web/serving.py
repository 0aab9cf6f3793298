"""Routes as a client of them sees them: in the envelope, their refusals as pages where a page was asked for.

Refuses a server: the application is called in this process.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from service.web import problems
from service.web.console import refusing
from service.web.console.pages import Pages
from service.web.envelope import Envelope


@asynccontextmanager
async def serving(pages: Pages, routes: Sequence[HTTPRouteHandler]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application of these routes."""
    app = Litestar(
        routes,
        exception_handlers={Exception: refusing(pages, problems.answer)},
        logging_config=None,
        openapi_config=None,
    )
    transport = httpx.ASGITransport(Envelope(app))  # pyright: ignore[reportArgumentType] - ASGI is ASGI
    async with httpx.AsyncClient(transport=transport, base_url="http://parley") as client:
        yield client
