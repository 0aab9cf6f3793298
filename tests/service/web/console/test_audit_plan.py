"""What the audit's page asks of a database: an index answers each, and no big table is gone through."""

import json
from contextlib import closing

import pytest

from service.store.sqlite.connection import connect
from service.store.sqlite.location import path_of
from service.store.tenancy import bound
from tests.harness.sql import ask
from tests.service.store.rows import CREATED_AT, Row
from tests.service.web.asking import asking

LIST = "/console/audit"
SIZE, BATCH = 6_000, 2_000
MINUTE = 60_000_000
INDEXES = {
    "": "audit_event_kind",
    "?entityType=all": "audit_event_created_at",
    "?actor=rare": "audit_event_subject_id",
    "?outcome=interrupted": "audit_event_outcome",
    "?category=network": "audit_event_category",
    "?code=upstream_timeout": "audit_event_code",
    "?model=rare": "audit_event_model",
    "?role=RARE": "audit_event_role",
    "?tool=rare": "audit_event_tool_tool",
    "?traceId=" + "a" * 32: "audit_event_trace_id",
}
BIG = {"audit_event", "event", "audit_content", "content", "audit_event_tool", "called"}


def row(number):
    rare = number % 400 == 0
    return Row(
        id=f"event-{number:06}",
        # Of ten events one is a turn: where most are, going by time alone is as good.
        entity_type="AUDIT_ACCESS" if number % 10 else "AGENT_QUERY",
        actor_id="rare" if rare else f"user-{number % 50}",
        outcome="interrupted" if rare else "answered",
        category="network" if rare else None,
        code="upstream_timeout" if rare else None,
        model="rare" if rare else "usual",
        role="RARE" if rare else "CFO",
        trace_id="a" * 32 if rare else f"{number:032x}",
        metadata=json.dumps({"toolsCalled": ["rare" if rare else "usual"]}),
        created_at=CREATED_AT + number * MINUTE,
    )


@pytest.fixture
async def web(database_url):
    async with asking(database_url) as asked:
        for start in range(0, SIZE, BATCH):
            await asked.database.audit.append([row(number) for number in range(start, start + BATCH)])
        if not database_url.startswith("sqlite"):
            ask(database_url, "VACUUM ANALYZE")
        yield asked


@pytest.fixture
def plan_of_page(web, database_url, monkeypatch):
    """`await plan_of_page(address)`: the steps of the statement that the page's events come from."""
    engine, asked = web.database._engine, []
    put = engine.ask

    async def heard(query, whose):
        asked.append(bound(query, whose, engine.engine_type).compile_string(engine.engine_type))
        return await put(query, whose)

    monkeypatch.setattr(engine, "ask", heard)

    async def plan(address):
        asked.clear()
        answer = await web.page(address, "aud/AUDITOR")
        assert answer.status_code == 200
        ((sql, arguments),) = [each for each in asked if "AS page" in each[0]]
        return explained(database_url, sql, arguments)

    return plan


def explained(url, sql, arguments):
    """Each step as text: SQLite's own words; of PostgreSQL the kind, the index and the table."""
    if url.startswith("sqlite"):
        with closing(connect(path_of(url), (), 0)) as connection:
            return [step[-1] for step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", arguments)]
    (found,) = ask(url, f"EXPLAIN (FORMAT JSON) {sql}", *arguments)
    return [*words(json.loads(found["QUERY PLAN"])[0]["Plan"])]


def words(plan):
    yield " ".join(str(plan.get(name, "")) for name in ("Node Type", "Index Name", "Relation Name"))
    for each in plan.get("Plans", ()):
        yield from words(each)


def scanned(steps):
    """The big tables that are gone through from end to end."""
    through = [step.replace("main.", "").split() for step in steps if step.startswith(("SCAN ", "Seq Scan"))]
    return [step for step in through if BIG & set(step) and "INDEX" not in step]


async def test_each_page_is_found_by_an_index(plan_of_page):
    for query, index in INDEXES.items():
        steps = await plan_of_page(LIST + query)
        assert any(index in step for step in steps), (query, steps)
        assert scanned(steps) == [], query
