"""Which audit events are meant, and that as SQL for SQLite and PostgreSQL.

Refuses to put a value into a statement: every one is an argument.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from msgspec import Struct, structs
from piccolo.querystring import QueryString

from service.store.text import storable


class Filters(Struct, frozen=True, kw_only=True):
    """Which events are meant; None does not matter.

    `since` belongs to the span and `until` does not: microseconds since 1970 (UTC). `q` is part of the query
    in any case of its ASCII letters.
    """

    actor: str | None = None
    outcome: str | None = None
    category: str | None = None
    tool: str | None = None
    model: str | None = None
    role: str | None = None
    trace_id: str | None = None
    entity_type: str | None = None
    since: int | None = None
    until: int | None = None
    q: str | None = None


def said(filters: Filters) -> Mapping[str, str | int]:
    """The filters that matter, without the words that were searched for: those are content."""
    given = structs.asdict(filters).items()
    return {name: value for name, value in given if name != "q" and value is not None}


EQUAL = MappingProxyType(
    {
        "tool": QueryString("called.tool"),
        "trace_id": QueryString("event.trace_id"),
        "actor": QueryString("event.actor_id"),
        "category": QueryString("event.category"),
        "outcome": QueryString("event.outcome"),
        "model": QueryString("event.model"),
        "role": QueryString("event.role"),
        "entity_type": QueryString("event.entity_type"),
    }
)
"""The columns of the filters that ask for one value, the most telling first."""

EVENTS = QueryString("audit_event AS event")
CALLS = QueryString("audit_event_tool AS called JOIN audit_event AS event ON event.id = called.event_id")
FOUND = (
    "EXISTS (SELECT 1 FROM audit_content AS content WHERE content.event_id = event.id "
    "AND LOWER(content.query) LIKE LOWER({}) ESCAPE '!')"
)


class Source(Struct, frozen=True):
    """Where the events of some filters are read. By tool, the calls' own index leads; else the events'."""

    tables: QueryString
    event_id: QueryString
    moment: QueryString


BY_EVENT = Source(EVENTS, QueryString("event.id"), QueryString("event.created_at"))
BY_TOOL = Source(CALLS, QueryString("called.event_id"), QueryString("called.created_at"))


def source_of(filters: Filters) -> Source:
    """Where to read."""
    return BY_EVENT if filters.tool is None else BY_TOOL


def where(filters: Filters) -> QueryString:
    """What is asked of each event."""
    parts = list(_conditions(filters, source_of(filters).moment))
    return QueryString(" AND ".join("{}" for _ in parts) or "1 = 1", *parts)


def _conditions(filters: Filters, moment: QueryString) -> Iterator[QueryString]:
    given = [name for name in EQUAL if getattr(filters, name) is not None]
    for name in given:
        # The first chooses the index; hidden from it, the others cannot: SQLite would guess among them.
        form = "{} = {}" if name == given[0] else "{} || '' = {}"
        yield QueryString(form, EQUAL[name], storable(str(getattr(filters, name))))
    if filters.since is not None:
        yield QueryString("{} >= {}", moment, int(filters.since))
    if filters.until is not None:
        yield QueryString("{} < {}", moment, int(filters.until))
    if filters.q is not None:
        yield QueryString(FOUND, _containing(storable(filters.q)))


def _containing(text: str) -> str:
    """A pattern of LIKE for this very text."""
    for special in "!%_":
        text = text.replace(special, f"!{special}")
    return f"%{text}%"
