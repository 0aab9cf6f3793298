"""/console/audit/{event id}: one event, all of it, and whether its proof holds.

Refuses to make a checkpoint because somebody looks: an event that is under none yet is called so.
"""

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from service.auth.permissions import Action, may
from service.web.console import kinds
from service.web.console.halls import PATH, rooms_of
from service.web.console.pages import Pages
from service.web.desk import Asking, Desk, glance_of
from service.web.lookup import Lookup
from service.web.parameters import Nothing, read

EVENT = f"{PATH}/{{event_id:str}}"
APART = frozenset({"query", "content", "feedback"})
"""What of an event's metadata has a place of its own."""


def route(pages: Pages, lookup: Lookup, desk: Desk) -> HTTPRouteHandler:
    """The route of the page."""

    @get(EVENT, include_in_schema=False)
    async def shown(request: Asking, event_id: FromPath[str]) -> Response[str]:
        caller = await desk.admit(request, Action.AUDIT)
        read(Nothing, request.scope["query_string"])
        event, standing = await lookup.standing(
            glance_of(request, caller, f"GET {PATH}/{{event_id}}"), event_id
        )
        return pages.show(
            "event",
            caller,
            PATH,
            event=event,
            standing=standing,
            metadata={name: value for name, value in event.metadata.items() if name not in APART},
            kind=kinds.KINDS.get(event.entity_type, event.entity_type),
            halls=rooms_of(caller),
            erases=may(caller, Action.ERASE),
        )

    return shown
