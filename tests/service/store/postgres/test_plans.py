"""How PostgreSQL goes about the audit's questions: by an index for each, the newest events first."""

import asyncio
import json

import pytest
from piccolo.querystring import QueryString

from service.store.database import open_database
from service.store.filters import Filters
from service.store.questions import Grouping, page_query, usage_query
from tests.harness.sql import ask
from tests.service.store.rows import CREATED_AT, Row

SIZE, BATCH = 20_000, 2_000
MINUTE = 60_000_000
CONTRACT = (
    """SELECT * FROM "AuditEvent" WHERE "entityType" = 'AGENT_QUERY' ORDER BY "createdAt" DESC LIMIT 10;"""
)
LED = {
    "actor": "audit_event_subject_id",
    "outcome": "audit_event_outcome",
    "category": "audit_event_category",
    "code": "audit_event_code",
    "tool": "audit_event_tool_tool",
    "model": "audit_event_model",
    "role": "audit_event_role",
    "trace_id": "audit_event_trace_id",
    "entity_type": "audit_event_kind",
    "since": "audit_event_created_at",
    "until": "audit_event_created_at",
    "q": "audit_content_words",
}
SINCE = CREATED_AT + (SIZE - 100) * MINUTE
RARE = dict.fromkeys(LED, "rare") | {"since": SINCE, "until": CREATED_AT + 100 * MINUTE}
AFTER = (CREATED_AT + SIZE // 2 * MINUTE, SIZE // 2)


def row(number):
    """What is asked for stands in every four hundredth event; all else is as in a service that is used."""
    rare = number % 400 == 0
    value = {True: "rare", False: f"common-{number % 3}"}[rare]
    return Row(
        id=f"event-{number:06}",
        entity_type="rare" if rare else "AGENT_QUERY",
        actor_id="rare" if rare else f"user-{number % 50}",
        outcome=value,
        category="rare" if rare else None,
        code="rare" if rare else None,
        model=value,
        role=value,
        trace_id="rare" if rare else f"{number:032x}",
        metadata=json.dumps({"toolsCalled": [value]}),
        query=f"What did we spend in month {number % 12}, {value}?",
        created_at=CREATED_AT + number * MINUTE,
    )


async def _filled(url):
    database = await open_database(url)
    for start in range(0, SIZE, BATCH):
        await database.audit.append([row(number) for number in range(start, start + BATCH)])
    await database.close()


@pytest.fixture(scope="module")
def url(postgres):
    made = postgres.database()
    asyncio.run(_filled(made))
    ask(made, "VACUUM ANALYZE")
    return made


def steps_of(plan):
    yield plan
    for inner in plan.get("Plans", ()):
        yield from steps_of(inner)


@pytest.fixture(scope="module")
def explain(url):
    def steps(sql, *arguments):
        (found,) = ask(url, f"EXPLAIN (FORMAT JSON) {sql}", *arguments)
        return list(steps_of(json.loads(found["QUERY PLAN"])[0]["Plan"]))

    return steps


@pytest.fixture(scope="module")
def plan(explain):
    def steps(query):
        sql, arguments = query.compile_string(engine_type="postgres")
        return explain(sql, *arguments)

    return steps


def indexes(steps):
    return {step["Index Name"] for step in steps if "Index Name" in step}


def scanned(steps):
    return [step["Relation Name"] for step in steps if step["Node Type"] == "Seq Scan"]


@pytest.mark.parametrize("after", [None, AFTER])
@pytest.mark.parametrize("name", LED)
def test_a_page_by_one_filter_reads_its_index_and_scans_no_table(plan, name, after):
    steps = plan(page_query(Filters(**{name: RARE[name]}), 50, after, "postgres"))
    assert LED[name] in indexes(steps)
    assert not set(scanned(steps)) & {"audit_event", "audit_content", "audit_event_tool"}


@pytest.mark.parametrize("name", sorted(set(LED) - {"since", "until", "q", "entity_type"}))
def test_whatever_else_is_asked_an_index_leads(plan, name):
    filters = Filters(**{name: "rare"}, entity_type="AGENT_QUERY", since=1, q="words")
    steps = plan(page_query(filters, 50, None, "postgres"))
    assert indexes(steps) & {LED[name], LED["q"]}
    assert not set(scanned(steps)) & {"audit_event", "audit_content", "audit_event_tool"}


def test_a_page_of_all_and_the_next_read_the_index_of_time_and_sort_nothing_else(plan):
    for after in (None, AFTER):
        steps = plan(page_query(Filters(), 50, after, "postgres"))
        assert LED["since"] in indexes(steps)
        assert not set(scanned(steps)) & {"audit_event", "audit_content"}
        # at most the page's own rows are put in order again
        assert all(step["Plan Rows"] <= 51 for step in steps if step["Node Type"] == "Sort")


def test_the_contracts_query_sorts_nothing(explain):
    steps = explain(CONTRACT)
    assert "audit_event_entity_type" in indexes(steps)
    assert "Sort" not in {step["Node Type"] for step in steps}
    assert not set(scanned(steps)) & {"audit_event", "audit_content"}


async def test_a_plan_is_made_for_the_values_each_time(url):
    database = await open_database(url)
    for _ in range(9):
        await database.questions.events(Filters(q="rare", actor="user-1", outcome="common-1"), 50)
    (found,) = await database._engine.run_querystring(
        QueryString(
            "SELECT sum(generic_plans) AS generic, sum(custom_plans) AS custom FROM pg_prepared_statements"
            " WHERE cardinality(parameter_types) > 0"
        )
    )
    await database.close()
    assert (found["generic"], found["custom"] >= 9) == (0, True)


@pytest.mark.parametrize("grouping", Grouping)
@pytest.mark.parametrize("filters", [Filters(actor="rare", since=1), Filters(since=SINCE)])
def test_usage_reads_only_the_span_that_is_meant(plan, grouping, filters):
    steps = plan(usage_query(grouping, filters, "postgres"))
    meant = {"audit_event_subject_id"} if filters.actor else {"audit_event_kind", "audit_event_created_at"}
    assert indexes(steps) & meant
    assert "audit_event" not in scanned(steps)
