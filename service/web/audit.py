"""GET /api/v1/audit/...: a tenant's events a page at a time, one of them or its proof, and an export of all.

Refuses content to callers who may not see it: its place says `masked`. Showing it is an audited act.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TypeVar

from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from litestar.response import Stream
from msgspec import Struct

from service.audit.access import Look
from service.auth.permissions import Action, may
from service.store.event import Event
from service.store.opening import Opening
from service.store.questions import Questions
from service.store.tenancy import Tenanted
from service.web import export
from service.web.cursor import Cursors
from service.web.desk import Asking, Desk, glance_of
from service.web.events import EVENTS, EventPage
from service.web.lookup import Lookup
from service.web.opinions import Join, unjoined
from service.web.parameters import ExportQuery, Nothing, PageQuery, read
from service.web.proofs import Prover, SealedEvent
from service.web.search import Search, as_allowed, filters_of
from telemetry.record import Caller

EVENT = f"{EVENTS}/{{event_id:str}}"
PROOF = f"{EVENT}/proof"
EXPORT = "/api/v1/audit/export"
ONE, ITS_PROOF = f"GET {EVENTS}/{{event_id}}", f"GET {EVENTS}/{{event_id}}/proof"


Shown = TypeVar("Shown", bound=Event)


class Auditing(Struct, frozen=True):
    """Answers the audit's questions; `search` and `lookup` answer whoever else asks them."""

    search: Search
    lookup: Lookup
    desk: Desk

    async def page(self, request: Asking) -> EventPage:
        """One page; `q` needs the permission to see content."""
        caller = await self.desk.admit(request, Action.AUDIT)
        query = read(PageQuery, request.scope["query_string"])
        return await self.search.page(glance_of(request, caller, f"GET {EVENTS}"), query)

    async def event(self, request: Asking, event_id: str) -> Event:
        """One event."""
        caller = await self.desk.admit(request, Action.AUDIT)
        read(Nothing, request.scope["query_string"])
        return await self.lookup.event(glance_of(request, caller, ONE), event_id)

    async def proof(self, request: Asking, event_id: str) -> SealedEvent:
        """One event with what proves it."""
        caller = await self.desk.admit(request, Action.AUDIT)
        read(Nothing, request.scope["query_string"])
        return await self.lookup.proof(glance_of(request, caller, ITS_PROOF), event_id)

    async def export(self, request: Asking) -> Stream:
        """All events of the caller's tenant, as a file."""
        caller = await self.desk.admit(request, Action.EXPORT)
        query = read(ExportQuery, request.scope["query_string"])
        filters, form = filters_of(query, caller), export.FORMS[query.format]
        salted = may(caller, Action.AUDIT_CONTENT)
        pages = self._allowed(self.lookup.prover.export(filters, salted=salted, whose=caller.tenant), caller)
        first = await anext(pages)  # a database that does not answer is still a problem with a status
        unnamed = await self.lookup.questions.within(caller.tenant).unnamed(filters)
        self.desk.noted(request, caller, Look.EXPORT, f"GET {EXPORT}", unnamed)
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
                yield await as_allowed(page, caller, self.lookup.opening)


def auditing(
    questions: Tenanted[Questions],
    cursors: Cursors,
    desk: Desk,
    prover: Prover,
    opening: Opening,
    join: Join = unjoined,
) -> Auditing:
    """What answers them, out of what is kept."""
    return Auditing(
        Search(questions, cursors, opening, desk.note, desk.clock),
        Lookup(questions, prover, opening, join, desk.note, desk.clock),
        desk,
    )


def routes(auditing: Auditing) -> list[HTTPRouteHandler]:
    """The audit's routes."""

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
