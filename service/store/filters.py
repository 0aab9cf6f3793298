"""Which audit events are meant, and that as SQL for SQLite and PostgreSQL.

Refuses to put a value into a statement: every one is an argument.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from msgspec import Struct, structs
from piccolo.querystring import QueryString

from service.store.text import storable
from service.store.words import words_of
from telemetry.person import user_of


class Filters(Struct, frozen=True, kw_only=True):
    """Which events are meant; None does not matter.

    `since` belongs to the span and `until` does not: microseconds since 1970 (UTC). `q` are words, all of
    which are in the query, in any case and order; sealed texts are not searched, only clear ones.
    """

    actor: str | None = None
    outcome: str | None = None
    category: str | None = None
    code: str | None = None
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
        "actor": QueryString("event.subject_id"),
        "code": QueryString("event.code"),
        "category": QueryString("event.category"),
        "outcome": QueryString("event.outcome"),
        "model": QueryString("event.model"),
        "role": QueryString("event.role"),
        "entity_type": QueryString("event.entity_type"),
    }
)
"""The columns of the filters that ask for one value, the most telling first."""

EVENTS = QueryString("audit_event AS event")
CALLS = QueryString(
    "audit_event_tool AS called JOIN audit_event AS event ON event.log_index = called.log_index"
)
SUBJECT = "COALESCE((SELECT subject.id FROM audit_subject AS subject WHERE subject.user_id = {}), {})"
"""A user's random id; an erased user is asked for by that id itself."""


class SubjectId(str):
    """A subject's random id in an actor's place: it is looked up already, so that a planner sees it."""

    __slots__ = ()


class Source(Struct, frozen=True):
    """Where the events of some filters are read. By tool, the calls' own index leads; else the events'."""

    tables: QueryString
    place: QueryString
    moment: QueryString


BY_EVENT = Source(EVENTS, QueryString("event.log_index"), QueryString("event.created_at"))
BY_TOOL = Source(CALLS, QueryString("called.log_index"), QueryString("called.created_at"))


def source_of(filters: Filters) -> Source:
    """Where to read."""
    return BY_EVENT if filters.tool is None else BY_TOOL


def where(filters: Filters, dialect: str, *, often: bool = False) -> QueryString:
    """What is asked of each event; `often` as `counted` has found it."""
    source = source_of(filters)
    parts = [
        *_conditions(filters, source.moment, dialect, few=filters.q is not None and not often),
        *_words(filters.q, source.place, f"{dialect}, often" if often else dialect),
    ]
    return QueryString(" AND ".join("{}" for _ in parts) or "1 = 1", *parts)


HIDDEN: Mapping[str, str] = MappingProxyType({"sqlite": "{} || '' = {}", "postgres": "{} = {}"})
"""What hides a column's index from SQLite, which would guess among them; PostgreSQL has counted."""


COMMON: Mapping[str, str] = MappingProxyType({"sqlite": "likelihood({} = {}, 0.1)", "postgres": "{} = {}"})
"""A filter that most events may be meant by: SQLite takes its index, but rather that of a tenant."""
RARE = frozenset({"tool", "trace_id", "actor", "code", "category"})
"""Filters that few events are meant by, whichever the tenant."""
TELLING = frozenset({"tool", "trace_id", "actor"})
"""Filters that may choose the index where few texts have the words; else the words do."""


def _conditions(
    filters: Filters, moment: QueryString, dialect: str, *, few: bool = False
) -> Iterator[QueryString]:
    given = [name for name in EQUAL if getattr(filters, name) is not None]
    for name in given:
        # The first chooses the index; it would be gone through from end to end for words that few texts have.
        leads = name == given[0] and (name in TELLING or not few)
        form = "{} = {}" if name in RARE else COMMON[dialect]
        yield QueryString(
            form if leads else HIDDEN[dialect], EQUAL[name], _value(name, getattr(filters, name))
        )
    if filters.since is not None:
        yield QueryString("{} >= {}", moment, int(filters.since))
    if filters.until is not None:
        yield QueryString("{} < {}", moment, int(filters.until))


def _value(name: str, given: str) -> QueryString | str:
    if name == "actor" and not isinstance(given, SubjectId):
        return QueryString(SUBJECT, *known_as(given))
    return storable(str(given))


def known_as(person: str) -> tuple[str, str]:
    """What an actor may be known as: by name; by the random id alone, once the name is gone."""
    return storable(person), storable(user_of(person))


HAVING = "{} IN (SELECT content.log_index FROM audit_content AS content WHERE content.words @> {})"
WORDS: Mapping[str, str] = MappingProxyType(
    {
        "sqlite": "{} IN (SELECT rowid FROM audit_words WHERE audit_words MATCH {})",
        "sqlite, often": "EXISTS (SELECT 1 FROM audit_content AS content WHERE content.log_index = {} "
        "AND parley_says(content.query, {}))",
        "postgres": HAVING,
        "postgres, often": HAVING,
    }
)
"""Few events are found by their words and put in order; where there are many, events are asked for theirs."""
MANY = 3_000
"""Texts with the words from which on there are many: of a million, either way takes as long then."""
COUNTED: Mapping[str, str] = MappingProxyType(
    {
        "sqlite": "SELECT count(*) AS found FROM "
        "(SELECT 1 FROM audit_words WHERE audit_words MATCH {} LIMIT {})",
        "postgres": "EXPLAIN (FORMAT JSON) SELECT 1 FROM audit_content WHERE words @> {} LIMIT {}",
    }
)
"""SQLite counts at once; PostgreSQL says what its statistics let it expect, which takes no counting."""


def counted(filters: Filters, dialect: str) -> QueryString | None:
    """Ask whether as many as `MANY` texts have the words; None where no words are asked for."""
    words = words_of(storable(filters.q)) if filters.q else ()
    return QueryString(COUNTED[dialect], _listed(words, dialect), MANY) if words else None


def _words(q: str | None, place: QueryString, form: str) -> Iterator[QueryString]:
    """All words must be there; a text without any is found nowhere."""
    if q is None:
        return
    words = words_of(storable(q))
    if not words:
        yield QueryString("1 = 0")
        return
    yield QueryString(WORDS[form], place, _listed(words, form))


def _listed(words: Sequence[str], form: str) -> QueryString:
    if form == "sqlite":
        return QueryString("{}", " ".join(f'"{word}"' for word in words))
    return QueryString("{}" if form.startswith("sqlite") else "string_to_array({}, ' ')", " ".join(words))
