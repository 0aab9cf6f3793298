"""What events came to in a period: the truth that the ledger is made of, and held against.

Refuses to read a month in one question: a day at a time, each by an index.
"""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct
from piccolo.querystring import QueryString

from service.store.budgets.draft import Key
from service.store.budgets.keys import ROLE, TOTAL, USER
from service.store.budgets.periods import Span, days_of, span_of
from service.store.engine import Ask, Script, StoreEngine

NEXT = QueryString("SELECT COALESCE(MAX(log_index), -1) + 1 AS size FROM audit_event")
CHARGED: Mapping[str, str] = MappingProxyType(
    {
        "sqlite": "json_extract(metadata, '$.budget.chargedMicros')",
        "postgres": "(metadata::json->'budget'->>'chargedMicros')::bigint",
    }
)
CHARGE = "CASE WHEN outcome = 'interrupted' THEN COALESCE({charged}, cost_micros) ELSE cost_micros END"
"""Only of a turn whose end nobody saw more is charged than its cost: the others' JSON need not be read."""
WITHIN = "FROM audit_event WHERE created_at >= {} AND created_at < {} AND log_index >= {} AND log_index < {}"
WHOSE: Mapping[str, str] = MappingProxyType({USER: " AND subject_id = {}", ROLE: " AND role = {}", TOTAL: ""})
COSTLY = " AND (cost_micros > 0 OR outcome = 'interrupted') GROUP BY role, subject_id"
LAST = 1 << 62
"""Behind every event."""

Sums = dict[tuple[str, str], int]
"""By scope and subject, in micro-dollars."""


class Known(Struct, frozen=True):
    """What the events before a place in the log came to."""

    upto: int
    micros: int


def charge(dialect: str) -> str:
    """What an event is charged, in SQL."""
    return CHARGE.replace("{charged}", CHARGED[dialect])


def sum_of(key: Key, first: int, end: int, dialect: str, span: Span | None = None) -> QueryString:
    """What the events of an account came to, from a place in the log on and before another."""
    scope, subject, period = key
    sql = f"SELECT COALESCE(SUM({charge(dialect)}), 0) AS micros {WITHIN}{WHOSE[scope]}"
    return QueryString(sql, *(span or span_of(period)), first, end, *(() if scope == TOTAL else (subject,)))


async def known_of(key: Key, engine: StoreEngine) -> Known:
    """What the events that there are came to, read while others write."""
    (row,) = await engine.ask(NEXT)
    upto, micros = int(row["size"]), 0
    for day in days_of(span_of(key[2])):
        (found,) = await engine.ask(sum_of(key, 0, upto, engine.engine_type, day))
        micros += int(found["micros"])
    return Known(upto, micros)


class Grouped(Struct, frozen=True):
    """What all accounts of a period came to before a place in the log."""

    upto: int
    sums: Sums


async def grouped_of(period: str, upto: int, engine: StoreEngine, before: Grouped | None = None) -> Grouped:
    """What all accounts of a period came to; only what is new is read where it was known `before`."""
    span, sums = span_of(period), {**before.sums} if before else {}
    first = before.upto if before else 0
    for part in (span,) if before else days_of(span):
        add(sums, await engine.ask(grouped(part, first, upto, engine.engine_type)))
    return Grouped(upto, sums)


def grouped_since(period: str, first: int, dialect: str) -> Script[Sums]:
    """The same from a place on."""
    sums: Sums = {}
    add(sums, (yield Ask(grouped(span_of(period), first, LAST, dialect))))
    return sums


def grouped(span: Span, first: int, end: int, dialect: str) -> QueryString:
    """What events came to, by role and user."""
    sql = f"SELECT role, subject_id, SUM({charge(dialect)}) AS micros {WITHIN}{COSTLY}"
    return QueryString(sql, *span, first, end)


def add(sums: Sums, rows: list[dict[str, object]]) -> None:
    """Add groups to the sums of all, of roles and of users."""
    for row in rows:
        micros = int(str(row["micros"]))
        for place in ((TOTAL, ""), (ROLE, row["role"]), (USER, row["subject_id"])):
            if place[1] is not None:
                name = place[0], str(place[1])
                sums[name] = sums.get(name, 0) + micros
