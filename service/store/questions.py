"""What is asked of the audit: events a page at a time, sums, and who somebody is.

Refuses to change anything, and to hold more than one page: an export is read page by page.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import date, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Struct, structs
from piccolo.querystring import QueryString

from service.store.event import COLUMNS, Event, event_of
from service.store.filters import (
    EVENTS,
    MANY,
    SUBJECT,
    Filters,
    SubjectId,
    counted,
    known_as,
    source_of,
    where,
)
from service.store.tenancy import EVERYBODY, Bound, Engine, Everybody, Whose
from service.store.text import storable
from telemetry.person import person_of, told_of, user_of

Position = tuple[int, int]
"""Microseconds since 1970 (UTC), and the event's place in the log."""

TURN = "AGENT_QUERY"
EPOCH = date(1970, 1, 1)
EXPORT_PAGE = 200


class Grouping(StrEnum):
    """What usage is added up by."""

    USER = "user"
    ROLE = "role"
    MODEL = "model"
    TOOL = "tool"
    DAY = "day"


class Page(Struct, frozen=True):
    """Some events, newest first; `last` is the position to go on after, None where there are no more."""

    events: Sequence[Event]
    last: Position | None


class Sums(Struct, frozen=True, kw_only=True):
    """What some turns came to; `count` of each row is honoured. Costs are millionths of a US dollar."""

    turns: int
    input_tokens: int
    output_tokens: int
    cost_micros: int


class Usage(Struct, frozen=True):
    """Sums by key and over all.

    By tool, a turn that called two counts for both and one that called none for the key None; `total` has
    each turn once.
    """

    rows: Sequence[tuple[str | None, Sums]]
    total: Sums


class Stats(Struct, frozen=True, kw_only=True):
    """How many events there are, and of what kinds: `count` is honoured, `rows` are rows."""

    rows: int
    events: int
    oldest: int | None
    newest: int | None
    entity_types: Mapping[str, int]
    outcomes: Mapping[str, int]
    categories: Mapping[str, int]


KEYS = MappingProxyType(
    {
        Grouping.USER: QueryString("COALESCE(subject.user_id, event.subject_id)"),
        Grouping.ROLE: QueryString("event.role"),
        Grouping.MODEL: QueryString("event.model"),
        Grouping.TOOL: QueryString("called.tool"),
        Grouping.DAY: QueryString("event.created_at / 86400000000"),
    }
)

CALLS_OR_NONE = QueryString(
    "audit_event AS event LEFT JOIN audit_event_tool AS called ON called.log_index = event.log_index"
)
ACTORS = QueryString(
    "audit_event AS event LEFT JOIN audit_subject AS subject ON subject.id = event.subject_id"
)
SUMS = QueryString(
    "SUM(event.count) AS turns, SUM(event.count * event.input_tokens) AS input_tokens, "
    "SUM(event.count * event.output_tokens) AS output_tokens, "
    "SUM(event.count * event.cost_micros) AS cost_micros"
)
PAGE = (
    "SELECT page.moment, page.place, {} FROM ({} "
    'ORDER BY 2 DESC, 1 DESC LIMIT {}) AS page JOIN "AuditEvent" AS shown ON shown."logIndex" = page.place '
    "ORDER BY page.moment DESC, page.place DESC"
)
"""The page first, from the tables and their indexes; only then the view, for its rows alone."""
COUNT = "SELECT COUNT(*) AS found FROM (SELECT 1 FROM {} WHERE {} LIMIT {}) AS meant"
FOUND = "SELECT {} AS place, {} AS moment FROM {} WHERE {}"
SET_APART = MappingProxyType({"sqlite": "{}", "postgres": "SELECT place, moment FROM ({} OFFSET 0) AS found"})
"""Few by their words: PostgreSQL would go through all events in their order until it has a page of them."""
USAGE = (
    "SELECT 0 AS part, {} AS label, {} FROM {} WHERE {} GROUP BY 2 "
    "UNION ALL SELECT 1, NULL, {} FROM audit_event AS event WHERE {}"
)
"""Groups and total in one statement, so that both see the same rows."""
ROLE = (
    "SELECT role FROM (SELECT role, created_at FROM (SELECT role, created_at FROM audit_event "
    "WHERE subject_id = (SELECT id FROM audit_subject WHERE user_id = {}) AND role IS NOT NULL "
    "ORDER BY created_at DESC LIMIT 1) AS turn "
    "UNION ALL SELECT role, created_at FROM (SELECT role, created_at FROM api_key "
    "WHERE user_id = {} ORDER BY created_at DESC LIMIT 1) AS newest) AS known "
    "ORDER BY created_at DESC LIMIT 1"
)
SUBJECT_ID = (
    "SELECT id FROM audit_subject WHERE user_id = {} "
    "UNION ALL SELECT subject_id FROM audit_event WHERE subject_id = {} LIMIT 1"
)
"""By a name, or by the random id itself, which is all that is left of somebody erased."""
UNKNOWN = "unknown"
WHOSE = f"SELECT {SUBJECT} AS id"
OTHERS = "SELECT EXISTS (SELECT 1 FROM audit_event WHERE tenant IS NOT NULL AND log_index < {}) AS others"
STATS = (
    "SELECT event.entity_type, event.outcome, event.category, COUNT(*) AS row_count, "
    "SUM(event.count) AS events, MIN(event.created_at) AS oldest, MAX(event.created_at) AS newest "
    "FROM {} WHERE {} GROUP BY event.entity_type, event.outcome, event.category"
)


class Questions:
    """Asks the database of all events, or of those within a tenant; every method raises DatabaseError."""

    def __init__(self, engine: Engine, whose: Whose = EVERYBODY) -> None:
        self._all, self._engine, self._whose = engine, Bound(engine, whose), whose

    def within(self, tenant: str | None) -> "Questions":
        """The same questions, of one tenant's events alone."""
        return Questions(self._all, tenant)

    async def alone(self, size: int) -> bool:
        """Whether all of the log's first `size` events are of those that are asked for."""
        if self._whose is not None:
            return self._whose is EVERYBODY
        (row,) = await self._all.ask(QueryString(OTHERS, size))
        return not row["others"]

    async def events(self, filters: Filters, limit: int, after: Position | None = None) -> Page:
        """One page of at most `limit` events, newest first."""
        filters, often = await self._known(self._meant(filters)), await self._often(filters)
        query = page_query(filters, limit + 1, after, self._engine.engine_type, often=often)
        rows = await self._engine.ask(query)
        kept = rows[:limit]
        last = (int(kept[-1]["moment"]), int(kept[-1]["place"])) if len(rows) > limit else None
        return Page(tuple(map(event_of, kept)), last)

    async def count(self, filters: Filters, most: int) -> int:
        """How many events these filters mean, counted up to `most`."""
        known, often = await self._known(self._meant(filters)), await self._often(filters)
        meant = where(known, self._engine.engine_type, often=often)
        (row,) = await self._engine.ask(QueryString(COUNT, source_of(known).tables, meant, most))
        return int(row["found"])

    def _meant(self, filters: Filters) -> Filters:
        """The filters with the actor as a person, where only a tenant's persons are meant."""
        if filters.actor is None or isinstance(self._whose, Everybody):
            return filters
        return structs.replace(filters, actor=person_of(filters.actor, self._whose))

    async def _known(self, filters: Filters) -> Filters:
        # PostgreSQL would guess how many events a subject has whose id comes from within the statement.
        if filters.actor is None or self._engine.engine_type == "sqlite":
            return filters
        (row,) = await self._engine.ask(QueryString(WHOSE, *known_as(filters.actor)))
        return structs.replace(filters, actor=SubjectId(row["id"]))

    async def _often(self, filters: Filters) -> bool:
        query = counted(filters, self._engine.engine_type)
        if query is None:
            return False
        (found,) = await self._engine.ask(query)
        return (found["found"] if "found" in found else expected(found["QUERY PLAN"])) >= MANY

    async def pages(self, filters: Filters, size: int = EXPORT_PAGE) -> AsyncGenerator[Sequence[Event]]:
        """All events, newest first, a page at a time; the first page comes even where it is empty.

        What is written meanwhile may be in it or not; no event is in it twice.
        """
        page = await self.events(filters, size)
        yield page.events
        while page.last:
            page = await self.events(filters, size, page.last)
            yield page.events

    async def event(self, event_id: str) -> Event | None:
        """The event of that id; None where there is none."""
        query = QueryString(
            'SELECT {} FROM "AuditEvent" AS shown WHERE shown.id = {}', COLUMNS, storable(event_id)
        )
        rows = await self._engine.ask(query)
        return event_of(rows[0]) if rows else None

    async def usage(self, grouping: Grouping, filters: Filters) -> Usage:
        """Sums of the turns these filters mean, by key: the dearest first, days in their order."""
        asked = usage_query(grouping, self._meant(filters), self._engine.engine_type)
        rows = await self._engine.ask(asked)
        named = told_of if self._whose is EVERYBODY else user_of
        groups = [(_label(grouping, row["label"], named), _sums(row)) for row in rows if row["part"] == 0]
        (total,) = (_sums(row) for row in rows if row["part"] == 1)
        return Usage(sorted(groups, key=_by_day if grouping is Grouping.DAY else _by_cost), total)

    async def unnamed(self, filters: Filters) -> Filters:
        """The filters as an event may keep them: the actor's name is replaced by the random id."""
        if filters.actor is None:
            return filters
        asked = known_as(self._meant(filters).actor or "")
        rows = await self._engine.ask(QueryString(SUBJECT_ID, *asked))
        return structs.replace(filters, actor=str(rows[0]["id"]) if rows else UNKNOWN)

    async def role_of(self, user_id: str) -> str | None:
        """The role a person had last, in a turn or by a new key; None for a user nobody has seen."""
        user = storable(user_id)
        rows = await self._all.ask(QueryString(ROLE, user, user))
        return str(rows[0]["role"]) if rows else None

    async def stats(self, filters: Filters) -> Stats:
        """Count the events these filters mean; reads all of them."""
        meant = where(self._meant(filters), self._engine.engine_type)
        query = QueryString(STATS, source_of(filters).tables, meant)
        rows = await self._engine.ask(query)
        return Stats(
            rows=sum(int(row["row_count"]) for row in rows),
            events=sum(int(row["events"]) for row in rows),
            oldest=min((int(row["oldest"]) for row in rows), default=None),
            newest=max((int(row["newest"]) for row in rows), default=None),
            entity_types=_counts(rows, "entity_type"),
            outcomes=_counts(rows, "outcome"),
            categories=_counts(rows, "category"),
        )


def page_query(
    filters: Filters, limit: int, after: Position | None, dialect: str, *, often: bool = False
) -> QueryString:
    """The statement for a page; `often` says that very many texts have the words that are asked for."""
    # What comes after a place came before `until`; told both, SQLite starts at `until` again on each page.
    source = source_of(filters)
    meant = where(structs.replace(filters, until=None) if after else filters, dialect, often=often)
    key = source.moment, source.place
    if after:
        meant = QueryString("{} AND ({}, {}) < ({}, {})", meant, *key, *after)
    found = QueryString(FOUND, source.place, source.moment, source.tables, meant)
    if filters.q is not None and not often:
        found = QueryString(SET_APART[dialect], found)
    return QueryString(PAGE, COLUMNS, found, limit)


def expected(plan: str) -> int:
    """How many rows PostgreSQL expects by a plan of its own (EXPLAIN's JSON)."""
    (whole,) = msgspec.json.decode(plan, type=list[dict[str, Any]])
    return int(whole["Plan"]["Plan Rows"])


TABLES = MappingProxyType({Grouping.TOOL: CALLS_OR_NONE, Grouping.USER: ACTORS})
"""What usage is read from, by what it is added up by; the events alone for all others."""


def usage_query(grouping: Grouping, filters: Filters, dialect: str) -> QueryString:
    """The statement for sums."""
    meant = where(structs.replace(filters, entity_type=TURN), dialect)
    return QueryString(USAGE, KEYS[grouping], SUMS, TABLES.get(grouping, EVENTS), meant, SUMS, meant)


def _label(grouping: Grouping, label: Any, named: Callable[[str], str]) -> str | None:
    if grouping is Grouping.DAY:
        return str(EPOCH + timedelta(days=int(label)))
    return None if label is None else named(str(label))


def _sums(row: Mapping[str, Any]) -> Sums:
    return Sums(**{name: int(row[name] or 0) for name in Sums.__struct_fields__})


def _by_cost(group: tuple[str | None, Sums]) -> Any:
    label, sums = group
    return -sums.cost_micros, -sums.turns, label is None, label or ""


def _by_day(group: tuple[str | None, Sums]) -> Any:
    return group[0] or ""


def _counts(rows: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        if row[name] is not None:
            found[row[name]] = found.get(row[name], 0) + int(row["events"])
    return dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))
