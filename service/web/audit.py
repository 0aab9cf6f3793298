"""GET /api/v1/audit/...: events a page at a time, one event or its proof, and an export of all.

Refuses content to callers who may not see it: its place says `masked`. Showing it is an audited act.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TypeVar

from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Stream

from service.audit.access import Look
from service.auth.permissions import Action, may
from service.errors import NotFound
from service.store.event import Event
from service.store.opening import Opening
from service.store.questions import Questions
from service.web import export
from service.web.cursor import Cursors
from service.web.desk import Asking, Desk, glance_of
from service.web.events import EVENTS, EventPage
from service.web.masking import masked
from service.web.opinions import Join, unjoined
from service.web.parameters import ExportQuery, Nothing, PageQuery, read
from service.web.proofs import Prover, SealedEvent
from service.web.search import Search, as_allowed, filters_of
from telemetry.record import Caller

EVENT = "/api/v1/audit/events/{event_id:str}"
PROOF = f"{EVENT}/proof"
EXPORT = "/api/v1/audit/export"
MISSING = "There is no audit event of that id."


Shown = TypeVar("Shown", bound=Event)


class Auditing:
    """Answers the audit's questions."""

    def __init__(
        self,
        questions: Questions,
        cursors: Cursors,
        desk: Desk,
        prover: Prover,
        opening: Opening,
        join: Join,
    ) -> None:
        self._questions, self._desk, self._join = questions, desk, join
        self._prover, self._opening = prover, opening
        self._search = Search(questions, cursors, opening, desk.note, desk.clock)

    async def page(self, request: Asking) -> EventPage:
        """One page; `q` needs the permission to see content."""
        caller = await self._desk.admit(request, Action.AUDIT)
        query = read(PageQuery, request.scope["query_string"])
        return await self._search.page(glance_of(request, caller, f"GET {EVENTS}"), query)

    async def event(self, request: Asking, event_id: str) -> Event:
        """One event."""
        caller = await self._desk.admit(request, Action.AUDIT)
        read(Nothing, request.scope["query_string"])
        found = await self._found(event_id)
        if may(caller, Action.AUDIT_CONTENT):
            self._desk.noted(request, caller, Look.READ, "GET /api/v1/audit/events/{event_id}", found.id)
        told = await self._opening.one(found) if may(caller, Action.AUDIT_CONTENT) else masked(found)
        return await self._join(told, caller)

    async def proof(self, request: Asking, event_id: str) -> SealedEvent:
        """One event with what proves it; taking it along is recorded, whoever does."""
        caller = await self._desk.admit(request, Action.AUDIT)
        read(Nothing, request.scope["query_string"])
        found = await self._found(event_id)
        proven = await self._prover.prove(found, salted=may(caller, Action.AUDIT_CONTENT))
        if proven is None:
            raise NotFound(MISSING)
        self._desk.noted(request, caller, Look.READ, "GET /api/v1/audit/events/{event_id}/proof", found.id)
        (told,) = await as_allowed([proven], caller, self._opening)
        return told

    async def export(self, request: Asking) -> Stream:
        """All events, as a file."""
        caller = await self._desk.admit(request, Action.EXPORT)
        query = read(ExportQuery, request.scope["query_string"])
        filters, form = filters_of(query, caller), export.FORMS[query.format]
        pages = self._allowed(self._prover.export(filters, salted=may(caller, Action.AUDIT_CONTENT)), caller)
        first = await anext(pages)  # a database that does not answer is still a problem with a status
        self._desk.noted(
            request, caller, Look.EXPORT, f"GET {EXPORT}", await self._questions.unnamed(filters)
        )
        return Stream(
            export.told(form, first, pages, lambda event: event),
            media_type=form.media_type,
            headers={"content-disposition": f'attachment; filename="audit-events.{query.format}"'},
        )

    async def _allowed(
        self, pages: AsyncGenerator[Sequence[Shown]], caller: Caller
    ) -> AsyncGenerator[Sequence[Shown]]:
        async with aclosing(pages):
            async for page in pages:
                yield await as_allowed(page, caller, self._opening)

    async def _found(self, event_id: str) -> Event:
        found = await self._questions.event(event_id)
        if found is None:
            raise NotFound(MISSING)
        return found


def routes(
    questions: Questions,
    cursors: Cursors,
    desk: Desk,
    prover: Prover,
    opening: Opening,
    join: Join = unjoined,
) -> list[HTTPRouteHandler]:
    """The audit's routes."""
    auditing = Auditing(questions, cursors, desk, prover, opening, join)

    @get(EVENTS)
    async def events(request: Asking) -> EventPage:
        return await auditing.page(request)

    @get(EVENT)
    async def event(request: Asking, event_id: FromPath[str]) -> Event:
        return await auditing.event(request, event_id)

    @get(PROOF)
    async def proof(request: Asking, event_id: FromPath[str]) -> SealedEvent:
        return await auditing.proof(request, event_id)

    @get(EXPORT)
    async def exported(request: Asking) -> Stream:
        return await auditing.export(request)

    return [events, event, proof, exported]
