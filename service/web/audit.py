"""GET /api/v1/audit/...: events a page at a time, one event, and an export of all.

Refuses content to callers who may not see it: its place says `masked`. Showing it is an audited act.
"""

from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Stream

from service.audit.access import Look
from service.auth.permissions import Action, may, require
from service.errors import NotFound
from service.store.event import Event
from service.store.filters import Filters
from service.store.questions import Questions
from service.web import export
from service.web.cursor import Cursors
from service.web.desk import Asking, Desk
from service.web.events import EVENTS, EventPage, question_of, written
from service.web.events import read as cursor_read
from service.web.masking import masked
from service.web.parameters import ExportQuery, Nothing, PageQuery, read
from telemetry.record import Caller

EVENT = "/api/v1/audit/events/{event_id:str}"
EXPORT = "/api/v1/audit/export"


class Auditing:
    """Answers the audit's questions."""

    def __init__(self, questions: Questions, cursors: Cursors, desk: Desk) -> None:
        self._questions, self._cursors, self._desk = questions, cursors, desk

    async def page(self, request: Asking) -> EventPage:
        """One page; `q` needs the permission to see content."""
        caller = await self._desk.admit(request, Action.AUDIT)
        query = read(PageQuery, request.scope["query_string"])
        filters = _filters(query, caller)
        question = question_of(filters)
        after = cursor_read(self._cursors, query.cursor, question)
        page = await self._questions.events(filters, query.limit, after)
        if may(caller, Action.AUDIT_CONTENT):
            self._desk.noted(request, caller, Look.READ, f"GET {EVENTS}", filters)
        told = tuple(_as_allowed(event, caller) for event in page.events)
        return EventPage(told, written(self._cursors, page, question))

    async def event(self, request: Asking, event_id: str) -> Event:
        """One event."""
        caller = await self._desk.admit(request, Action.AUDIT)
        read(Nothing, request.scope["query_string"])
        found = await self._questions.event(event_id)
        if found is None:
            raise NotFound("There is no audit event of that id.")
        if may(caller, Action.AUDIT_CONTENT):
            self._desk.noted(request, caller, Look.READ, "GET /api/v1/audit/events/{event_id}", found.id)
        return _as_allowed(found, caller)

    async def export(self, request: Asking) -> Stream:
        """All events, as a file."""
        caller = await self._desk.admit(request, Action.EXPORT)
        query = read(ExportQuery, request.scope["query_string"])
        filters, form = _filters(query, caller), export.FORMS[query.format]
        pages = self._questions.pages(filters)
        first = await anext(pages)  # a database that does not answer is still a problem with a status
        self._desk.noted(request, caller, Look.EXPORT, f"GET {EXPORT}", filters)
        return Stream(
            export.told(form, first, pages, lambda event: _as_allowed(event, caller)),
            media_type=form.media_type,
            headers={"content-disposition": f'attachment; filename="audit-events.{query.format}"'},
        )


def routes(questions: Questions, cursors: Cursors, desk: Desk) -> list[HTTPRouteHandler]:
    """The audit's routes."""
    auditing = Auditing(questions, cursors, desk)

    @get(EVENTS)
    async def events(request: Asking) -> EventPage:
        return await auditing.page(request)

    @get(EVENT)
    async def event(request: Asking, event_id: FromPath[str]) -> Event:
        return await auditing.event(request, event_id)

    @get(EXPORT)
    async def exported(request: Asking) -> Stream:
        return await auditing.export(request)

    return [events, event, exported]


def _filters(query: PageQuery | ExportQuery, caller: Caller) -> Filters:
    """The filters; searching in content needs the permission to see it."""
    if query.q is not None:
        require(caller, Action.AUDIT_CONTENT)
    return query.filters()


def _as_allowed(event: Event, caller: Caller) -> Event:
    return event if may(caller, Action.AUDIT_CONTENT) else masked(event)
