"""How the audit's questions fare in a grown log: `python -m tests.bench.audit_growth [sqlite|postgres ...]`.

`SIZE` is the number of events (1,000,000), `JSON` a file for all figures and plans. A table goes to stdout.
Refuses to keep anything: databases are in a folder of their own, which goes at the end.
"""

import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct
from piccolo.querystring import QueryString

from service.store.database import Database, open_database
from service.store.event import COLUMNS
from service.store.filters import Filters
from service.store.questions import page_query
from service.store.sqlite.connection import connect
from service.store.sqlite.location import path_of
from telemetry import ids
from tests.harness.postgres import Postgres
from tests.harness.sql import ask
from tests.service.store.rows import CREATED_AT, Row

SIZE = int(os.environ.get("SIZE", "1_000_000"))
BATCH, PAGE, TIMES = 2_000, 51, 7
SECOND = 1_000_000
LIMIT_MS = 50.0
CONTRACT = (
    """SELECT * FROM "AuditEvent" WHERE "entityType" = 'AGENT_QUERY' ORDER BY "createdAt" DESC LIMIT 10"""
)
WORDS = [f"word{number}" for number in range(5_000)]
RARE = 50_000
"""One in so many events has what is rare."""


class Timing(Struct, frozen=True, kw_only=True):
    """One question: milliseconds of its median run and of its slowest, and how it was gone about."""

    question: str
    median_ms: float
    slowest_ms: float
    rows: int
    plan: Sequence[str]


def row(number: int, chance: random.Random) -> Row:
    """One event of a service with 2,000 users; what is rare is in one of `RARE`."""
    rare = number % RARE == RARE // 2
    tools = ["rare"] if rare else chance.choice([["calculate"], ["calculate", "current_time"], []])
    failed = chance.random() < 0.05
    return Row(
        id=ids.uuid7(),
        entity_id=str(number),
        entity_type="RARE" if rare else chance.choices(["AGENT_QUERY", "AUDIT_ACCESS"], [98, 2])[0],
        actor_id="rare" if rare else f"user-{int(chance.paretovariate(0.8)) % 2_000}",
        role="RARE" if rare else chance.choice(["CFO", "AUDITEE", "GUEST", "AUDITOR"]),
        outcome="interrupted" if rare else "failed" if failed else "answered",
        category="unknown" if rare else "network" if failed else None,
        code="internal" if rare else "upstream_timeout" if failed else None,
        model="rare" if rare else chance.choice(["claude-sonnet-5-5", "claude-haiku-5"]),
        trace_id=f"{number:032x}",
        metadata=json.dumps({"toolsCalled": tools, "pad": "x" * 400}),
        query=" ".join(["what did we spend", *chance.choices(WORDS, k=8), *(["needle"] if rare else [])]),
        created_at=CREATED_AT + number * SECOND,
    )


MIDDLE = (CREATED_AT + SIZE // 2 * SECOND, SIZE // 2)
END = (CREATED_AT + 1_000 * SECOND, 1_000)
QUESTIONS: Mapping[str, tuple[Filters, tuple[int, int] | None]] = {
    "first page": (Filters(), None),
    "first page of turns": (Filters(entity_type="AGENT_QUERY"), None),
    "page in the middle": (Filters(), MIDDLE),
    "page of turns near the end": (Filters(entity_type="AGENT_QUERY"), END),
    "actor, busy": (Filters(actor="user-1"), None),
    "actor, rare": (Filters(actor="rare"), None),
    "actor, nobody": (Filters(actor="nobody"), None),
    "outcome, common": (Filters(outcome="answered"), None),
    "outcome, rare": (Filters(outcome="interrupted"), None),
    "category, common": (Filters(category="network"), None),
    "category, rare": (Filters(category="unknown"), None),
    "code, common": (Filters(code="upstream_timeout"), None),
    "code, rare": (Filters(code="internal"), None),
    "tool, common": (Filters(tool="calculate"), None),
    "tool, rare": (Filters(tool="rare"), None),
    "tool, deep": (Filters(tool="calculate"), MIDDLE),
    "model, common": (Filters(model="claude-haiku-5"), None),
    "model, rare": (Filters(model="rare"), None),
    "role, common": (Filters(role="GUEST"), None),
    "role, rare": (Filters(role="RARE"), None),
    "kind, rare": (Filters(entity_type="RARE"), None),
    "trace id": (Filters(trace_id=f"{SIZE // 3:032x}"), None),
    "a span": (Filters(since=MIDDLE[0] - 3_600 * SECOND, until=MIDDLE[0]), None),
    "actor in a span": (Filters(actor="user-1", since=MIDDLE[0] - 86_400 * SECOND, until=MIDDLE[0]), None),
    "q, rare": (Filters(q="needle"), None),
    "q, in every text": (Filters(q="What SPEND"), None),
    "q, usual word": (Filters(q="word77"), None),
    "q, two words": (Filters(q="word77 word78"), None),
    "q, common and rare": (Filters(q="spend needle"), None),
    "q, nowhere": (Filters(q="nowhere"), None),
    "q of turns": (Filters(q="spend", entity_type="AGENT_QUERY"), None),
    "q, deep": (Filters(q="spend"), MIDDLE),
    "q of an actor": (Filters(q="word77", actor="user-1"), None),
    "all at once": (Filters(actor="user-1", outcome="failed", role="CFO", q="spend"), None),
}


@contextmanager
def place(engine: str) -> Iterator[str]:
    """The URL of a new database, which is gone afterwards."""
    if engine == "sqlite":
        with tempfile.TemporaryDirectory(prefix="parley-growth-") as folder:
            yield f"sqlite:///{folder}/parley.db"
    else:
        with Postgres() as server:
            yield server.database()


async def grow(database: Database) -> float:
    """Fill it as the service does; gives the events a second."""
    chance, begun = random.Random(1), time.perf_counter()  # noqa: S311 - the same each time
    for start in range(0, SIZE, BATCH):
        await database.audit.append([row(start + number, chance) for number in range(BATCH)])
        if start % 100_000 == 0:
            sys.stderr.write(f"\r{start:,}")
    return SIZE / (time.perf_counter() - begun)


async def timed(name: str, asked: Callable[[], Awaitable[int]], plan: Sequence[str]) -> Timing:
    """Ask as the service does, some times over; what is asked gives how many rows it found."""
    taken, rows = [], 0
    for _ in range(TIMES):
        begun = time.perf_counter()
        rows = await asked()
        taken.append((time.perf_counter() - begun) * 1_000)
    return Timing(
        question=name,
        median_ms=round(statistics.median(taken), 2),
        slowest_ms=round(max(taken), 2),
        rows=rows,
        plan=plan,
    )


async def pages(database: Database, url: str) -> AsyncIterator[Timing]:
    """Each page of `QUESTIONS`."""
    dialect = database._engine.engine_type
    for name, (filters, after) in QUESTIONS.items():

        async def page(filters: Filters = filters, after: tuple[int, int] | None = after) -> int:
            return len((await database.questions.events(filters, PAGE - 1, after)).events)

        often, known = await database.questions._often(filters), await database.questions._known(filters)
        yield await timed(name, page, plan_of(url, page_query(known, PAGE, after, dialect, often=often)))


async def others(database: Database, url: str) -> AsyncIterator[Timing]:
    """One event, and the contract's query."""
    (known,) = ask(url, f"SELECT id FROM audit_event WHERE log_index = {SIZE // 2}")  # noqa: S608 - a number
    by_id = QueryString('SELECT {} FROM "AuditEvent" AS shown WHERE shown.id = {}', COLUMNS, known["id"])

    async def event() -> int:
        return int(await database.questions.event(known["id"]) is not None)

    async def newest() -> int:
        return len(await database._engine.ask(QueryString(CONTRACT)))

    yield await timed("event by id", event, plan_of(url, by_id))
    yield await timed("the contract's query", newest, plan_of(url, QueryString(CONTRACT)))


def plan_of(url: str, query: QueryString) -> Sequence[str]:
    """How the engine goes about it."""
    if not url.startswith("sqlite"):
        sql, arguments = query.compile_string(engine_type="postgres")
        return [str(step["QUERY PLAN"]) for step in ask(url, f"EXPLAIN {sql}", *arguments)]
    sql, arguments = query.compile_string(engine_type="sqlite")
    # A connection of the store's own: it knows a function that the file does not.
    with closing(connect(path_of(url), (), 0)) as connection:
        return [str(step[-1]) for step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", arguments)]


async def measure(engine: str, url: str) -> Mapping[str, Any]:
    """Grow a log and ask everything of it."""
    database = await open_database(url, busy_timeout_ms=60_000)
    speed = await grow(database)
    if engine != "sqlite":
        ask(url, "VACUUM ANALYZE")  # what the server does by itself after a while
    timings = [each async for each in pages(database, url)] + [each async for each in others(database, url)]
    await database.close()
    return {
        "engine": engine,
        "rows": SIZE,
        "rows_per_second": round(speed),
        "bytes": size_of(url),
        "timings": timings,
    }


def size_of(url: str) -> int:
    """Bytes of the whole database."""
    if url.startswith("sqlite"):
        return Path(url.removeprefix("sqlite:///")).stat().st_size
    return int(ask(url, "SELECT pg_database_size(current_database()) AS bytes")[0]["bytes"])


def tell(found: Mapping[str, Any]) -> None:
    """Print one engine's table."""
    sys.stdout.write(
        f"\n{found['engine']}: {found['rows']:,} events, {found['bytes'] / found['rows']:.0f} bytes each, "
        f"appended at {found['rows_per_second']:,} a second\n\n"
        "| question | median ms | slowest ms | rows | |\n|---|---:|---:|---:|---|\n"
    )
    for each in found["timings"]:
        late = "LATE" if each.median_ms > LIMIT_MS else ""
        sys.stdout.write(
            f"| {each.question} | {each.median_ms} | {each.slowest_ms} | {each.rows} | {late} |\n"
        )
    sys.stdout.flush()


def main(engines: Sequence[str]) -> None:
    """Measure each engine in its turn."""
    everything = []
    for engine in engines or ("sqlite", "postgres"):
        with place(engine) as url:
            everything.append(asyncio.run(measure(engine, url)))
        tell(everything[-1])
    if path := os.environ.get("JSON"):
        told = [found | {"timings": [_plain(each) for each in found["timings"]]} for found in everything]
        Path(path).write_text(json.dumps(told, indent=1))


def _plain(timing: Timing) -> Mapping[str, Any]:
    return {name: getattr(timing, name) for name in timing.__struct_fields__}


if __name__ == "__main__":
    main(sys.argv[1:])
