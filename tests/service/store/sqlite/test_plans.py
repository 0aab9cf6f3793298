"""How SQLite goes about the audit's questions: by an index for each, the newest events first."""

import json

import pytest

from service.store.database import open_database
from service.store.filters import Filters
from service.store.questions import Grouping, page_query, usage_query
from tests.harness.sql import ask
from tests.service.store.rows import Row

LED = {
    "actor": "audit_event_actor_id",
    "outcome": "audit_event_outcome",
    "category": "audit_event_category",
    "tool": "audit_event_tool_tool",
    "model": "audit_event_model",
    "role": "audit_event_role",
    "trace_id": "audit_event_trace_id",
    "entity_type": "audit_event_kind",
    "since": "audit_event_created_at",
    "until": "audit_event_created_at",
}
SPANS = {"since", "until"}


@pytest.fixture
async def plan(url):
    await (await open_database(url)).close()

    def explain(query):
        sql, arguments = query.compile_string(engine_type="sqlite")
        return [step["detail"] for step in ask(url, f"EXPLAIN QUERY PLAN {sql}", *arguments)]

    return explain


@pytest.mark.parametrize("after", [None, (5, "event")])
@pytest.mark.parametrize("name", LED)
async def test_a_page_by_one_filter_reads_its_index_and_only_the_pages_events(plan, name, after):
    steps = plan(page_query(Filters(**{name: 1 if name in SPANS else "x"}), 50, after))
    inner, outer = steps[: steps.index("SCAN page")], steps[steps.index("SCAN page") :]
    assert f"COVERING INDEX {LED[name]} (" in inner[1]
    assert not [step for step in inner if "SCAN" in step or "TEMP B-TREE" in step]
    assert [step.split(" USING")[0] for step in outer] == [
        "SCAN page",
        "SEARCH event",
        "SEARCH content",
        "USE TEMP B-TREE FOR ORDER BY",  # of the page
    ]


@pytest.mark.parametrize("name", set(LED) - SPANS - {"entity_type"})
async def test_the_most_telling_filter_leads_whatever_else_is_asked(plan, name):
    steps = plan(page_query(Filters(**{name: "x"}, entity_type="AGENT_QUERY", since=1, q="words"), 50, None))
    assert LED[name] in steps[1]
    assert "created_at>?" in steps[1]


async def test_another_page_starts_where_the_last_one_ended(plan):
    assert "<(?,?)" in plan(page_query(Filters(until=9), 50, (5, "event")))[1]


@pytest.mark.parametrize("grouping", Grouping)
@pytest.mark.parametrize(
    ("filters", "index"),
    [(Filters(actor="x", since=1), "audit_event_actor_id"), (Filters(since=1), "audit_event_kind")],
)
async def test_usage_reads_only_the_span_that_is_meant(plan, grouping, filters, index):
    steps = [step for step in plan(usage_query(grouping, filters)) if " event " in step]
    assert len(steps) == 2
    assert all(index in step and "created_at>?" in step for step in steps)


async def test_a_database_of_the_first_version_gets_its_tools(url):
    database = await open_database(url)
    rows = [
        Row(id="event-1", metadata=json.dumps({"toolsCalled": ["a", "b", "a"]})),
        Row(id="event-2", metadata=json.dumps({"toolsCalled": [1, None, "a"]})),
        Row(id="event-3"),
    ]
    await database.audit.append(rows)
    await database.close()
    ask(url, "DROP TABLE audit_event_tool")
    ask(url, "DELETE FROM schema_migration WHERE version >= 5")
    for index in set(LED.values()) - {"audit_event_created_at", "audit_event_tool_tool"}:
        ask(url, f"DROP INDEX {index}")
    for index in ("actor_id", "trace_id", "outcome", "category"):
        ask(url, f"CREATE INDEX audit_event_{index} ON audit_event ({index})")
    await (await open_database(url)).close()
    assert ask(url, "SELECT event_id, tool FROM audit_event_tool ORDER BY event_id, tool") == [
        {"event_id": "event-1", "tool": "a"},
        {"event_id": "event-1", "tool": "b"},
        {"event_id": "event-2", "tool": "a"},
    ]
