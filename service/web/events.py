"""A page of audit events as it is told, to routes and commands alike; what its cursor is bound to.

Refuses to open or sign a cursor: it only says which question one belongs to.
"""

import msgspec
from msgspec import Struct

from service.store.event import Event
from service.store.filters import Filters
from service.store.questions import Page, Position
from service.web.cursor import Cursors

EVENTS = "/api/v1/audit/events"


class EventPage(Struct, frozen=True, rename="camel"):
    """Some events, newest first, and how to ask for the next ones; `next_cursor` is null on the last page."""

    events: tuple[Event, ...]
    next_cursor: str | None


def question_of(filters: Filters, tenant: str | None = None) -> bytes:
    """What a cursor is bound to: the route, its filters and, where it has a name, the tenant."""
    return EVENTS.encode() + msgspec.json.encode(filters) + (tenant or "").encode()


def written(cursors: Cursors, page: Page, question: bytes) -> str | None:
    """The cursor after a page; None where it is the last."""
    return cursors.write((page.last[0], str(page.last[1])), question) if page.last else None


def read(cursors: Cursors, cursor: str | None, question: bytes) -> Position | None:
    """The place a cursor stands for; None without one, raises InvalidRequest."""
    if cursor is None:
        return None
    moment, place = cursors.read(cursor, question)
    return moment, int(place)
