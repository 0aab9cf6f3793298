"""/console/queries: a caller's own latest queries, and one query's life on a page, found by any of its ids.

Refuses to know anything but what `Queries` tells the caller: what is not theirs looks like what never was.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter
from msgspec import Meta

from service.auth.permissions import Action, may
from service.web.console.life import life_of
from service.web.console.pages import Pages
from service.web.desk import Asking, Desk, glance_of
from service.web.parameters import Nothing, read
from service.web.queries import OwnQuery, Queries
from telemetry.record import Caller

PATH = "/console/queries"
ONE = f"{PATH}/{{turn_id:str}}"
NAMED = f"{PATH}/{{turnId}}"
"""Where a turn's page is, for scripts that put its id there."""
AUDIT = "/console/audit"
ROUTE = f"GET {PATH}/{{turn_id}}"
TRACE = re.compile("[0-9a-f]{32}")

Id = Annotated[str, PathParameter(max_length=256)]


class ListQuery(OwnQuery, frozen=True, kw_only=True, rename="camel"):
    """Which of one's own queries; `find` leads to the one of that id instead."""

    find: Annotated[str, Meta(max_length=256)] = ""


def routes(pages: Pages, queries: Queries, desk: Desk) -> list[HTTPRouteHandler]:
    """The routes of both pages."""

    @get(PATH, include_in_schema=False)
    async def listed(request: Asking) -> Response[str]:
        caller = await desk.admit(request, Action.OWN)
        asked = read(ListQuery, request.scope["query_string"])
        if given := asked.find.strip():
            return pages.lead(await _led(queries, caller, given))
        page = await queries.own(caller, asked)
        further = _further(asked, page.next_cursor)
        return pages.show("queries", caller, PATH, events=page.events, asked=asked, further=further)

    @get(ONE, include_in_schema=False)
    async def shown(request: Asking, turn_id: Id) -> Response[str]:
        caller = await desk.admit(request, Action.OWN)
        read(Nothing, request.scope["query_string"])
        query = await queries.one(glance_of(request, caller, ROUTE), turn_id)
        audits = may(caller, Action.AUDIT)
        return pages.show("query", caller, PATH, query=query, life=life_of(query), audits=audits)

    return [listed, shown]


async def _led(queries: Queries, caller: Caller, given: str) -> str:
    """Where an id leads: a trace may have several turns, any other id is one turn's."""
    turns = await queries.traced(caller, given.lower()) if TRACE.fullmatch(given.lower()) else ()
    if len(turns) > 1:
        return f"{AUDIT if may(caller, Action.AUDIT) else PATH}?traceId={given.lower()}"
    return f"{PATH}/{quote(turns[0] if turns else given, safe='')}"


def _further(asked: ListQuery, cursor: str | None) -> Mapping[str, Any] | None:
    """The parameters of the next page; None where this is the last."""
    if cursor is None:
        return None
    told = {"traceId": asked.trace_id, "limit": asked.limit, "cursor": cursor}
    return {name: value for name, value in told.items() if value is not None}
