"""Where the asking routes let a caller in, and note what was looked at.

Refuses before anything is read: 401 for nobody, 403 for a role that may not, 400 for what is not asked well.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request
from msgspec import Struct

from service.audit.access import Access, Look, row_of
from service.audit.deed import Doer
from service.audit.row import AuditRow
from service.auth.permissions import Action, require
from service.store.filters import Filters, said
from service.web.identity import identity_of
from service.web.problems import CALLER
from telemetry.record import Caller

Asking = Request[Any, Any, Any]
Who = Callable[[Asking], Awaitable[Caller]]
"""Request -> Caller; raises Unauthenticated, CrossSite or DatabaseError."""
Note = Callable[[AuditRow], None]
"""Owes the audit a row."""


def unnoted(row: AuditRow) -> None:
    """Note nothing: there is no audit to note it in."""
    del row


class Glance(Struct, frozen=True, kw_only=True):
    """Who looks, by which route or tool, and the request it came with."""

    caller: Caller
    route: str
    request_id: str
    trace_id: str | None


class Desk(Struct, frozen=True):
    """What the asking routes share. `clock` gives microseconds since 1970 (UTC)."""

    who: Who
    note: Note
    clock: Callable[[], int]

    @property
    def audited(self) -> bool:
        """Whether there is an audit to note anything in."""
        return self.note is not unnoted

    def doer(self, request: Asking, caller: Caller) -> Doer:
        """Who does something now, by this request."""
        identity = identity_of(request.scope)
        return Doer(
            caller=caller, request_id=identity.request_id, trace_id=identity.trace_id, at=self.clock()
        )

    async def admit(self, request: Asking, action: Action) -> Caller:
        """Name the caller, who may do this.

        Raises:
            Unauthenticated, CrossSite, Forbidden, DatabaseError: nobody is let in.
        """
        caller = await self.who(request)
        request.scope[CALLER] = caller  # pyright: ignore[reportGeneralTypeIssues] - ASGI lets an application add keys
        require(caller, action)
        return caller

    def noted(self, request: Asking, caller: Caller, look: Look, route: str, read: str | Filters) -> None:
        """Note what a caller is about to be shown: one event by its id, or all that some filters mean."""
        self.note(look_of(glance_of(request, caller, route), look, read, self.clock()))


def glance_of(request: Asking, caller: Caller, route: str) -> Glance:
    """A look by a route."""
    identity = identity_of(request.scope)
    return Glance(caller=caller, route=route, request_id=identity.request_id, trace_id=identity.trace_id)


def look_of(glance: Glance, look: Look, read: str | Filters, at: int) -> AuditRow:
    """The row of a look at one event by its id, or at all that some filters mean."""
    event_id, filters = (read, None) if isinstance(read, str) else (None, read)
    access = Access(
        look=look,
        route=glance.route,
        entity_id=event_id or glance.request_id,
        filters=said(filters) if filters else {},
        caller=glance.caller,
        request_id=glance.request_id,
        trace_id=glance.trace_id,
        at=at,
        searched=filters.q if filters else None,
    )
    return row_of(access)
