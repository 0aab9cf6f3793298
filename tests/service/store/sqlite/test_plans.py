"""How SQLite goes about the audit's questions: by an index for each, the newest events first."""

from contextlib import closing

import pytest

from service.store.database import open_database
from service.store.filters import RARE, TELLING, Filters
from service.store.questions import Grouping, page_query, usage_query
from service.store.sqlite.connection import connect
from service.store.sqlite.location import path_of
from service.store.tenancy import bound

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
}
SPANS = {"since", "until"}


@pytest.fixture
async def plan(url):
    await (await open_database(url)).close()
    # A connection of the store's own: it knows a function that the file does not.
    with closing(connect(path_of(url), (), 0)) as connection:

        def explain(query):
            sql, arguments = query.compile_string(engine_type="sqlite")
            return [step[-1] for step in connection.execute(f"EXPLAIN QUERY PLAN {sql}", arguments)]

        yield explain


@pytest.mark.parametrize("after", [None, (5, 7)])
@pytest.mark.parametrize("name", LED)
async def test_a_page_by_one_filter_reads_its_index_and_only_the_pages_events(plan, name, after):
    steps = plan(page_query(Filters(**{name: 1 if name in SPANS else "x"}), 50, after, "sqlite"))
    inner, outer = steps[: steps.index("SCAN page")], steps[steps.index("SCAN page") :]
    assert f"COVERING INDEX {LED[name]} (" in inner[1]
    assert not [step for step in inner if "SCAN" in step or "TEMP B-TREE" in step]
    assert [step.split(" USING")[0] for step in outer] == [
        "SCAN page",
        "SEARCH event",
        "SEARCH subject",
        "SEARCH content",
        "USE TEMP B-TREE FOR ORDER BY",  # of the page
    ]


@pytest.mark.parametrize("name", sorted(set(LED) - SPANS - {"entity_type"}))
async def test_the_most_telling_filter_leads_whatever_else_is_asked(plan, name):
    steps = plan(page_query(Filters(**{name: "x"}, entity_type="AGENT_QUERY", since=1), 50, None, "sqlite"))
    assert LED[name] in steps[1]
    assert "created_at>?" in steps[1]


@pytest.mark.parametrize("name", sorted(set(LED) - SPANS))
async def test_words_that_few_texts_have_lead_but_for_what_is_as_telling(plan, name):
    query = page_query(Filters(**{name: "x"}, since=1, q="words"), 50, None, "sqlite")
    step = plan(query)[1]
    assert (LED[name] if name in TELLING else "USING INTEGER PRIMARY KEY (rowid=?)") in step


async def test_another_page_starts_where_the_last_one_ended(plan):
    step = plan(page_query(Filters(until=9), 50, (5, 7), "sqlite"))[1]
    assert "audit_event_created_at (created_at<?)" in step


@pytest.mark.parametrize("after", [None, (5, 7)])
@pytest.mark.parametrize("name", [None, *LED])
async def test_within_a_tenant_its_index_leads_but_for_a_filter_that_few_events_are_meant_by(
    plan, name, after
):
    filters = Filters(**{name: 1 if name in SPANS else "x"} if name else {})
    steps = plan(bound(page_query(filters, 50, after, "sqlite"), "acme", "sqlite"))
    inner = steps[: steps.index("SCAN page")]
    assert f"INDEX {LED[name] if name in RARE else 'audit_event_tenant'} (" in inner[1]
    assert not [step for step in inner if "SCAN" in step or "TEMP B-TREE" in step]


@pytest.mark.parametrize("grouping", Grouping)
@pytest.mark.parametrize(
    ("filters", "index"),
    [(Filters(actor="x", since=1), "audit_event_subject_id"), (Filters(since=1), "audit_event_kind")],
)
async def test_usage_reads_only_the_span_that_is_meant(plan, grouping, filters, index):
    steps = [step for step in plan(usage_query(grouping, filters, "sqlite")) if " event " in step]
    assert len(steps) == 2
    assert all(index in step and "created_at>?" in step for step in steps)


@pytest.mark.parametrize("name", [None, *sorted(set(LED) - SPANS)])
async def test_words_that_very_many_texts_have_are_looked_for_event_by_event(plan, name):
    filters = Filters(q="words", **({name: "x"} if name else {}))
    steps = plan(page_query(filters, 50, None, "sqlite", often=True))
    inner = steps[: steps.index("SCAN page")]
    assert LED[name or "since"] in inner[1]
    assert not [step for step in inner if "LIST SUBQUERY" in step or "TEMP B-TREE" in step]
    assert [step for step in inner if "SEARCH content USING INTEGER PRIMARY KEY" in step]
