"""The audit's page of events, whoever asks for it: the route, or a tool on behalf of its caller.

Refuses what the caller may not ask, and to show what he may not see; whoever may see content leaves a row.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import Struct

from service.audit.access import Look
from service.auth.permissions import Action, may, require
from service.store.event import Event
from service.store.filters import Filters
from service.store.opening import Opening
from service.store.questions import Questions
from service.store.tenancy import Tenanted
from service.web.cursor import Cursors
from service.web.desk import Glance, Note, look_of
from service.web.events import EventPage, question_of, written
from service.web.events import read as cursor_read
from service.web.masking import masked
from service.web.parameters import ExportQuery, PageQuery
from telemetry.record import Caller

Shown = TypeVar("Shown", bound=Event)


class Search(Struct, frozen=True):
    """Searches the audit. `clock` gives microseconds since 1970 (UTC)."""

    questions: Tenanted[Questions]
    cursors: Cursors
    opening: Opening
    note: Note
    clock: Callable[[], int]

    async def page(self, glance: Glance, query: PageQuery) -> EventPage:
        """One page; `q` needs the permission to see content.

        Raises:
            Forbidden, InvalidRequest, DatabaseError: nothing is shown.
        """
        caller = glance.caller
        require(caller, Action.AUDIT)
        filters = filters_of(query, caller)
        question = question_of(filters, caller.tenant)
        after = cursor_read(self.cursors, query.cursor, question)
        asked = self.questions.within(caller.tenant)
        page = await asked.events(filters, query.limit, after)
        if may(caller, Action.AUDIT_CONTENT):
            unnamed = await asked.unnamed(filters)
            self.note(look_of(glance, Look.READ, unnamed, self.clock()))
        told = await as_allowed(page.events, caller, self.opening)
        return EventPage(tuple(told), written(self.cursors, page, question))

    async def count(self, caller: Caller, query: PageQuery, most: int) -> int:
        """How many events there are on all pages, counted up to `most`; raises as `page` does."""
        require(caller, Action.AUDIT)
        return await self.questions.within(caller.tenant).count(filters_of(query, caller), most)


async def as_allowed(events: Sequence[Shown], caller: Caller, opening: Opening) -> Sequence[Shown]:
    """Events with their texts, sealed ones opened, for who may see them; else without."""
    if may(caller, Action.AUDIT_CONTENT):
        return await opening.page(events)
    return [masked(event) for event in events]


def filters_of(query: PageQuery | ExportQuery, caller: Caller) -> Filters:
    """The filters; searching in content needs the permission to see it."""
    if query.q is not None:
        require(caller, Action.AUDIT_CONTENT)
    return query.filters()
