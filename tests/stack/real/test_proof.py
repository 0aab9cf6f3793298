"""From a query to a page at night, through the real programs: what each of them says of the same turns.

Refuses any difference: requests, rows, root spans and counted turns are one number, dollars equal to 1e-6.
"""

from collections import Counter
from typing import Any

import pytest

from telemetry import names
from telemetry.failure import Category
from telemetry.spike import SPIKES
from tests.conftest import TOLD
from tests.stack.real import asking, burst, emitted
from tests.stack.real.asking import Traced
from tests.stack.real.patience import until
from tests.stack.real.proof import Proof, proven

ROOT_SPAN, TURN_SPAN = "POST /api/v1/agent/chat", "invoke_agent parley"
QUERIES = 200
"""At the least."""
IN_ORDER = {
    *("AuditBalance", "AuditInvalid", "AuditQuarantine", "BudgetDrift", "BudgetSpent", "CollectorLosing"),
    *("CollectorRefusing", "LimitsDegraded", "SinkFailing", "TurnsInterrupted", "WorkersDie"),
}
"""Alerts on what no burst of queries may disturb, on however slow a machine."""


@pytest.fixture(scope="module")
def proof(tmp_path_factory):
    with proven(tmp_path_factory.mktemp("stack"), tmp_path_factory.mktemp("service")) as found:
        yield found


@pytest.fixture(scope="module")
def traces(proof):
    """Every trace, once all spans are there."""
    spans = sum(map(spans_of, proof.rows)) + sum(2 * (row["count"] - 1) for row in proof.rows)

    def found() -> dict[str, list[Traced]]:
        return asking.traces(proof.jaeger)

    until(lambda: sum(map(len, found().values())) >= spans, seen=proof.stack.said)
    return found()


def spans_of(row: dict[str, Any]) -> int:
    """How many spans a turn has: the server's, its own, and one for each step."""
    return 2 + len(row["metadata"]["modelCalls"]) + len(row["metadata"]["toolCalls"])


def total(rows: list[dict[str, Any]], *columns: str, of: str = "count") -> dict[Any, int]:
    """The sums of a column by others."""
    sums: Counter[Any] = Counter()
    for row in rows:
        key = row[columns[0]] if len(columns) == 1 else tuple(row[column] for column in columns)
        sums[key] += row[of]
    return dict(sums)


def test_requests_rows_root_spans_and_counted_turns_are_one_number(proof, traces, record_property):
    roots = [span for spans in traces.values() for span in spans if not span.parent]
    rows = sum(row["count"] for row in proof.rows)

    def turns() -> float:
        return sum(value for _, value in asking.query(proof.prometheus, "parley_turns_total"))

    until(lambda: turns() == rows, seen=lambda: f"{turns()} turns")
    record_property(
        TOLD,
        f"reconciled: {len(proof.answers)} requests = {rows} of {len(proof.rows)} rows"
        f" = {len(roots)} root spans = {turns():.0f} counted turns"
        f" ({sum(map(len, traces.values()))} spans in Jaeger)",
    )
    assert len(proof.answers) >= QUERIES
    assert len(proof.answers) == rows == len(roots) == len(traces)
    assert {span.name for span in roots} == {ROOT_SPAN}
    assert {answer.trace_id for answer in proof.answers} == set(traces)


def test_every_trace_is_whole_and_says_what_its_row_says(proof, traces):
    folded = set(traces) - {row["traceId"] for row in proof.rows}
    assert {len(traces[trace_id]) for trace_id in folded} <= {2}
    for row in proof.rows:
        spans = traces[row["traceId"]]
        assert len(spans) == spans_of(row), spans
        (turn,) = (span for span in spans if span.name == TURN_SPAN)
        (root,) = (span for span in spans if span.name == ROOT_SPAN)
        steps = rest(spans, turn, root)
        assert (root.kind, turn.parent) == ("server", root.span_id)
        assert {span.parent for span in steps} <= {turn.span_id}
        assert steps_of(row) == Counter(span.name for span in steps)
        check(row, turn, root, steps)


def rest(spans: list[Traced], *others: Traced) -> list[Traced]:
    known = {each.span_id for each in others}
    return [span for span in spans if span.span_id not in known]


def steps_of(row: dict[str, Any]) -> Counter[str]:
    calls = Counter(f"chat {call['model']}" for call in row["metadata"]["modelCalls"])
    return calls + Counter(f"execute_tool {call['name']}" for call in row["metadata"]["toolCalls"])


def check(row: dict[str, Any], turn: Traced, root: Traced, steps: list[Traced]) -> None:
    """The attributes are the row's columns."""
    for span in (turn, root):
        assert span.attributes["parley.turn.id"] == row["entityId"]
        assert span.attributes["parley.turn.outcome"] == row["outcome"]
        assert span.attributes.get("parley.error.category") == row["category"]
        assert span.attributes.get("parley.error.code") == row["code"]
    said = turn.attributes
    assert said["gen_ai.usage.input_tokens"] == row["inputTokens"]
    assert said["gen_ai.usage.output_tokens"] == row["outputTokens"]
    assert said["parley.cost.usd_micros"] == row["costMicros"]
    assert said.get("user.roles") == (f'["{row["role"]}"]' if row["role"] else None)
    chats = [span for span in steps if span.name.startswith("chat ")]
    assert sum(span.attributes["parley.cost.usd_micros"] for span in chats) == row["costMicros"]
    attempts = sorted(span.attributes["parley.model.attempts"] for span in chats)
    assert attempts == sorted(call["attempts"] for call in row["metadata"]["modelCalls"])


@pytest.mark.parametrize("category", list(Category), ids=str)
def test_the_traces_of_a_category_are_found_by_its_tag_and_no_others(proof, traces, category):
    assert traces
    asked = {answer.trace_id for answer in proof.answers if answer.category == category}
    assert asked
    assert set(asking.traces(proof.jaeger, {"parley.error.category": category.value})) == asked


def test_the_refused_ones_are_found_by_the_limiter_s_decision(proof, traces):
    assert traces
    refused = {answer.trace_id for answer in proof.answers if answer.fault == "policy"}
    assert refused
    assert set(asking.traces(proof.jaeger, {"parley.rate_limit.decision": "denied"})) == refused


def settled(proof: Proof, expression: str, labels: tuple[str, ...], expected: dict[Any, float]) -> None:
    """Wait until Prometheus says so; series that stand at 0 need no row."""

    def said() -> dict[Any, float]:
        found = asking.total(proof.prometheus, expression, *labels)
        return {key: round(value, 6) for key, value in found.items() if value}

    until(lambda: said() == expected, seen=lambda: f"{said()}\nbut the rows say {expected}")


def test_turns_and_errors_are_the_rows(proof):
    settled(proof, "parley_turns_total", ("outcome",), total(proof.rows, "outcome"))
    settled(proof, "parley_errors_total", ("category", "fault"), dict(burst.kinds(proof.answers)))
    failed = [row for row in proof.rows if row["category"]]
    settled(proof, "parley_errors_total", ("category",), total(failed, "category"))


def test_tokens_are_the_rows_exactly_and_dollars_to_the_millionth(proof):
    spent = [row for row in proof.rows if row["costMicros"]]
    for direction, column in (("input", "inputTokens"), ("output", "outputTokens")):
        expected = total(spent, "model", of=column)
        settled(proof, f'parley_tokens_total{{direction="{direction}"}}', ("model",), expected)
    dollars = {key: micros / 1e6 for key, micros in total(spent, "model", "role", of="costMicros").items()}
    assert len(dollars) > 1
    settled(proof, "parley_cost_total", ("model", "role"), dollars)


def test_the_limiter_s_decisions_are_the_rows(proof):
    decided = [row | row["metadata"]["rateLimit"] for row in proof.rows if row["metadata"]["rateLimit"]]
    expected = total(decided, "decision", "policy", "role")
    settled(proof, "parley_rate_limit_decisions_total", ("decision", "policy", "role"), expected)


def test_the_audit_s_own_figures_balance(proof):
    def said(name: str) -> float:
        return sum(value for _, value in asking.query(proof.prometheus, name))

    until(lambda: said("parley_audit_begun_total") == said("parley_audit_committed_total") > 0)
    assert said("parley_audit_balance") == 0


def test_an_exemplar_leads_to_a_trace_that_is_there(proof, traces):
    def found() -> set[str]:
        url = f"http://{proof.prometheus}/api/v1/query_exemplars"
        name = "gen_ai_invoke_agent_duration_seconds_bucket"
        told = asking.get(url, query=name, start="0", end="9999999999")["data"]
        return {each["labels"]["trace_id"] for series in told for each in series["exemplars"]}

    assert until(found) <= set(traces)


@pytest.mark.parametrize("spike", SPIKES, ids=lambda spike: spike.name)
def test_the_alert_of_each_category_rings_and_is_resolved(proof, spike):
    assert spike.name in proof.heard("firing")
    until(lambda: spike.name in proof.heard("resolved"), seen=lambda: str(proof.heard("resolved")))


def test_nobody_is_woken_for_what_is_in_order(proof):
    assert {rule["name"] for rule in asking.rules(proof.prometheus)} >= IN_ORDER
    assert proof.heard("firing") & IN_ORDER == set()


def test_every_rule_is_evaluated_without_an_error(proof):
    def wrong() -> list[Any]:
        found = asking.rules(proof.prometheus)
        return [
            (each["name"], each["health"], each.get("lastError")) for each in found if each["health"] != "ok"
        ]

    until(lambda: not wrong(), seen=lambda: str(wrong()))
    assert len(asking.rules(proof.prometheus)) > 60


def test_no_attribute_of_a_span_is_unknown(traces):
    spans = [span for each in traces.values() for span in each]
    assert {key for span in spans for key in span.attributes} - emitted.ATTRIBUTES == set()
    assert {key for span in spans for key in span.resource} - emitted.RESOURCE == set()
    assert {span.name for span in spans if not emitted.SPANS.fullmatch(span.name)} == set()
    events = [event for span in spans for event in span.events]
    assert {key for event in events for key in event} - emitted.ATTRIBUTES - {"event"} == set()
    assert {event["event"] for event in events} - emitted.OURS == set()
    assert not any(span.links for span in spans)  # what hangs on them is not masked


def exported(proof: Proof) -> list[dict[str, str]]:
    """Every series but those that Prometheus's rules make."""
    found = asking.series(proof.prometheus, '{job="parley"}')
    return [
        each for each in found if ":" not in each["__name__"] and not each["__name__"].startswith("ALERTS")
    ]


def test_no_metric_and_no_label_is_unknown(proof):
    found = exported(proof)
    assert {each["__name__"] for each in found} >= {"parley_turns_total", "traces_span_metrics_calls_total"}
    strange = [(each["__name__"], *emitted.unknown(each)) for each in found if emitted.unknown(each)]
    assert strange == []


def test_no_field_of_a_log_record_is_unknown(proof):
    lines = (proof.stack.data / "events.jsonl").read_text().splitlines()
    records = [record for line in lines for record in emitted.records(line)]
    assert len(records) > QUERIES
    assert {record.name for record in records} <= set(names.LOG_TYPES)
    assert [strange for record in records if (strange := emitted.strange(record))] == []


def test_no_label_holds_a_caller_a_turn_or_a_trace(proof):
    found = exported(proof)
    values = {value for each in found for key, value in each.items() if key not in {"instance", "__name__"}}
    told = {row[column] for row in proof.rows for column in ("actorId", "entityId", "traceId")} - {None}
    assert {burst.UNLUCKY, "auditor"} < told
    assert values & told == set()
