"""/console/audit/verify: the log's newest checkpoint, and a button that verifies the log from end to end.

Refuses to verify because somebody comes by: it is asked for by a form, and one runs at a time.
"""

from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler

from service.audit.verify import Report
from service.auth.permissions import Action
from service.errors import Conflict
from service.web.archive import Archive
from service.web.checkpoints import key_told
from service.web.console.halls import PATH, VERIFY, rooms_of
from service.web.console.pages import Pages
from service.web.desk import Asking, Desk
from service.web.parameters import Nothing, read
from telemetry.record import Caller

MOST = 100
"""Findings that the page tells; the API tells the rest."""


def routes(pages: Pages, archive: Archive, desk: Desk) -> list[HTTPRouteHandler]:
    """The page, and what its button does."""

    async def admitted(request: Asking) -> Caller:
        caller = await desk.admit(request, Action.VERIFY)
        read(Nothing, request.scope["query_string"])
        return caller

    @get(VERIFY, include_in_schema=False)
    async def shown(request: Asking) -> Response[str]:
        return await _page(pages, archive, await admitted(request))

    @post(VERIFY, status_code=200, include_in_schema=False)
    async def verified(request: Asking) -> Response[str]:
        caller = await admitted(request)
        try:
            report = await archive.verifying.report()
        except Conflict as error:
            return await _page(pages, archive, caller, status=409, busy=error.detail)
        return await _page(pages, archive, caller, report)

    return [shown, verified]


async def _page(
    pages: Pages,
    archive: Archive,
    caller: Caller,
    report: Report | None = None,
    *,
    status: int = 200,
    busy: str | None = None,
) -> Response[str]:
    facts: dict[str, Any] = {
        "newest": await archive.auditing.lookup.prover.newest(),
        "key": key_told(archive.verifying.key),
        "report": report,
        "most": MOST,
        "busy": busy,
        "halls": rooms_of(caller),
    }
    return pages.show("verify", caller, PATH, status=status, **facts)
