"""What leaves the house by OTLP: spans, metrics and log records, and what never does."""

import re

import httpx
import pytest
from msgspec import Struct

from service.app.leaving import UNSENT
from tests.conftest import SOON
from tests.harness.chat import ask, stream
from tests.harness.model_api import HOST
from tests.harness.otlp import Mode, Receiver
from tests.harness.service import Service
from tests.harness.signals import LogRecord, Point
from tests.harness.telling import ending, told, total
from tests.harness.tree import tree
from tests.harness.waiting import wait

PARENT_TRACE, PARENT_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{PARENT_TRACE}-{PARENT_SPAN}-01"}
CANARY = "canary-4711"
MODEL = "claude-sonnet-5-5"

WITH_A_TOOL = f"""\
POST /api/v1/agent/chat SERVER
  invoke_agent parley INTERNAL
    chat {MODEL} CLIENT
    execute_tool calculate INTERNAL
    chat {MODEL} CLIENT"""

SINKS = {"alerts", "audit", "logs", "metrics"}
OUTCOMES = {"answered", "refused", "failed", "client_gone", "timed_out", "interrupted", "shutdown"}
CATEGORIES = {
    "authentication",
    "authorization",
    "validation",
    "rate_limit",
    "database",
    "agent_service",
    "network",
    "unknown",
}
HISTOGRAMS = {
    "gen_ai.client.operation.duration": "s",
    "gen_ai.client.token.usage": "{token}",
    "gen_ai.client.operation.time_to_first_chunk": "s",
    "gen_ai.invoke_agent.duration": "s",
    "gen_ai.execute_tool.duration": "s",
}
LABELS = {
    "parley.turns": {"outcome"},
    "parley.errors": {"category", "fault"},
    "parley.rate_limit.decisions": {"decision", "policy", "role"},
    "parley.tokens": {"direction", "model"},
    "parley.cost": {"model", "role"},
    "parley.turns.active": set(),
    "parley.audit.begun": set(),
    "parley.audit.committed": set(),
    "parley.log.lines": {"type"},
    "parley.sink.failures": {"sink"},
}


class Fresh(Struct, frozen=True):
    """A service over gRPC that nobody has asked yet, and the points it sent by then."""

    service: Service
    receiver: Receiver
    before: dict[str, list[Point]]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    with Receiver() as receiver:
        settings = receiver.settings("grpc") | SOON
        with Service(tmp_path_factory.mktemp("grpc"), settings) as service:
            receiver.wait(lambda: receiver.points("parley.turns"))
            before = {name: receiver.points(name) for name in LABELS}
            yield Fresh(service, receiver, before)


@pytest.fixture(scope="module")
def told_all(fresh):
    """Everything one of each kind of turn told: its answers and what arrived."""
    service = fresh.service
    whole = ask(service, f"What is 12*7? {CANARY}").json()
    with stream(service, f"Hello {CANARY}", model="claude-haiku-5-5") as answer:
        done = answer.rest()[-1].data
    ask(service, "")
    ask(service, f"Hello {CANARY}", key="")
    ask(service, f"[sim:400] {CANARY}")
    ask(service, f"[sim:tool][sim:cut] {CANARY}")
    service.wait_for_rows(6)
    receiver = fresh.receiver
    receiver.wait(lambda: total(receiver, "parley.audit.committed") == 6)
    receiver.wait(lambda: len(receiver.logs(event_name="agent_query_failed")) == 2)
    receiver.wait_for_spans(6, predicate=lambda span: span.kind == "SERVER")
    return [whole, done]


@pytest.mark.parametrize("how", ["json", "stream"])
def test_a_turn_with_a_tool_is_this_tree_over_http(service, receiver, how):
    message = "What is 12*7? [sim:tool]"
    if how == "json":
        trace_id = ask(service, message).json()["traceId"]
    else:
        with stream(service, message) as answer:
            trace_id = answer.rest()[-1].data["traceId"]
    assert tree(receiver.wait_for_trace(trace_id), trace_id) == WITH_A_TOOL


def test_a_turn_with_a_tool_is_the_same_tree_over_grpc(fresh, told_all):
    trace_id = told_all[0]["traceId"]
    assert tree(fresh.receiver.wait_for_trace(trace_id), trace_id) == WITH_A_TOOL


def test_retries_of_the_sdk_are_no_spans_and_a_failure_colours_its_line_of_descent(service, receiver):
    response = ask(service, "[sim:500]")
    trace_id = response.headers["x-trace-id"]
    shown = ["parley.model.attempts", "error.type"]
    assert tree(receiver.wait_for_trace(trace_id), trace_id, shown[:1]) == "\n".join(
        [
            "POST /api/v1/agent/chat SERVER [ERROR]",
            "  invoke_agent parley INTERNAL [ERROR]",
            f"    chat {MODEL} CLIENT [ERROR] parley.model.attempts=3",
        ]
    )


def test_the_span_of_the_turn_says_all_that_the_contract_promises(service, receiver):
    answer = ask(service, "What is 12*7? [sim:tool]").json()
    found = told(service, receiver, answer["id"])
    attributes = found.agent.attributes
    saved = round(found.row["metadata"]["cacheSavings"] * 1_000_000)  # others of the module warmed the cache
    pseudonym = attributes.pop("enduser.pseudo.id")
    remaining = attributes.pop("parley.rate_limit.remaining")
    assert attributes == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "parley",
        "gen_ai.conversation.id": answer["conversationId"],
        "gen_ai.request.model": MODEL,
        "gen_ai.usage.input_tokens": answer["usage"]["inputTokens"],
        "gen_ai.usage.output_tokens": answer["usage"]["outputTokens"],
        "gen_ai.usage.cache_read.input_tokens": answer["usage"]["cacheReadTokens"],
        "gen_ai.usage.cache_write.input_tokens": answer["usage"]["cacheWriteTokens"],
        "parley.turn.id": answer["id"],
        "parley.turn.outcome": "answered",
        "parley.tools.called": ["calculate"],
        "parley.cost.saved_usd_micros": saved,
        "parley.cost.usd_micros": round(answer["cost"] * 1_000_000),
        "parley.audit.id": answer["id"],
        "parley.usage.source": "reported",
        "parley.rate_limit.decision": "allowed",
        "parley.rate_limit.policy": "role",
        "parley.rate_limit.limit": 1000,
        "parley.rate_limit.retry_after_ms": 0,
        "parley.rate_limit.store": "memory",
        "user.roles": ["AUDITEE"],
    }
    assert 0 <= remaining < 1000
    assert re.fullmatch("[0-9a-f]{32}", pseudonym)


def test_the_server_span_says_what_became_of_the_turn(service, receiver):
    answer = ask(service, "Hello").json()
    server = told(service, receiver, answer["id"]).server.attributes
    assert server["http.route"] == "/api/v1/agent/chat"
    assert (server["http.request.method"], server["http.response.status_code"]) == ("POST", 200)
    assert (server["parley.turn.outcome"], server["parley.rate_limit.decision"]) == ("answered", "allowed")


def test_the_spans_of_model_and_tool_follow_the_conventions(service, receiver):
    answer = ask(service, "What is 12*7? [sim:tool]", maxTokens=50).json()
    spans = receiver.wait_for_trace(answer["traceId"])
    first, second = (span.attributes for span in spans if span.kind == "CLIENT")
    (tool,) = (span.attributes for span in spans if span.name.startswith("execute_tool"))
    for call, reason in ((first, "tool_use"), (second, "end_turn")):
        assert (call["gen_ai.operation.name"], call["gen_ai.provider.name"]) == ("chat", "anthropic")
        assert (call["gen_ai.request.model"], call["gen_ai.response.model"]) == (MODEL, MODEL)
        assert call["gen_ai.request.max_tokens"] == 50
        assert call["gen_ai.response.finish_reasons"] == [reason]
        assert call["gen_ai.response.id"].startswith("msg_")
        assert call["gen_ai.response.time_to_first_chunk"] > 0
        assert call["server.address"] == HOST
    spent = [call["parley.cost.usd_micros"] for call in (first, second)]
    assert sum(spent) == round(answer["cost"] * 1_000_000)
    read = [call["gen_ai.usage.input_tokens"] for call in (first, second)]
    assert sum(read) == answer["usage"]["inputTokens"]
    assert (tool["gen_ai.tool.name"], tool["parley.tool.outcome"]) == ("calculate", "finished")
    assert tool["gen_ai.tool.call.id"].startswith("toolu_")


@pytest.mark.parametrize("message", ["Hello", "", "[sim:400]"])
def test_one_trace_id_is_on_header_body_row_log_and_spans(service, receiver, message):
    response = ask(service, message)
    trace_id = response.headers["x-trace-id"]
    turn = told(service, receiver, response.headers["x-request-id"])
    assert response.json()["traceId"] == trace_id
    assert (turn.row["traceId"], turn.row["metadata"]["traceId"]) == (trace_id, trace_id)
    assert (turn.line["traceId"], turn.line["spanId"]) == (trace_id, turn.agent.span_id)
    assert (turn.server.trace_id, turn.agent.parent_id) == (trace_id, turn.server.span_id)


def test_the_callers_trace_goes_on_through_us(service, receiver):
    response = ask(service, "Hello", headers=TRACEPARENT)
    turn = told(service, receiver, response.json()["id"])
    assert response.headers["x-trace-id"] == PARENT_TRACE
    assert (turn.server.trace_id, turn.server.parent_id) == (PARENT_TRACE, PARENT_SPAN)


@pytest.mark.parametrize("given", ["nonsense", "00-0-0-01", f"00-{'0' * 32}-{'0' * 16}-01", f"ff-{'a' * 32}"])
def test_a_malformed_traceparent_is_as_none(service, receiver, given):
    response = ask(service, "Hello", headers={"traceparent": given})
    assert response.status_code == 200
    turn = told(service, receiver, response.json()["id"])
    assert turn.server.parent_id == ""
    assert response.headers["x-trace-id"] == turn.server.trace_id


def test_an_address_nobody_knows_makes_no_route(service, receiver):
    response = httpx.get(f"{service.url}/nowhere/{CANARY}", trust_env=False)
    (span,) = receiver.wait_for_spans(trace_id=response.headers["x-trace-id"])
    assert span.name == "GET"
    assert "http.route" not in span.attributes


def test_health_leaves_no_span(service, receiver):
    response = httpx.get(f"{service.url}/health/live", headers=TRACEPARENT, trust_env=False)
    trace_id = ask(service, "Hello").json()["traceId"]
    receiver.wait_for_trace(trace_id)
    assert response.status_code == 200
    assert not [span for span in receiver.spans() if "/health" in str(span.attributes)]


def test_every_known_series_is_there_before_the_first_turn(fresh):
    def seen(name: str, label: str) -> set[str]:
        return {point.attributes[label] for point in fresh.before[name]}

    assert seen("parley.turns", "outcome") == OUTCOMES
    assert seen("parley.errors", "category") == CATEGORIES
    assert seen("parley.rate_limit.decisions", "decision") == {"allowed", "denied", "observed"}
    assert seen("parley.rate_limit.decisions", "role") >= {"CFO", "GUEST", "other"}
    assert seen("parley.tokens", "model") == {MODEL, "claude-haiku-5-5", "claude-opus-5-5"}
    assert seen("parley.sink.failures", "sink") == SINKS | {"conversation", "idempotency_key"}
    assert seen("parley.log.lines", "type") >= {"agent_query_completed", "rate_limit_exceeded"}
    values = [point.value for name, points in fresh.before.items() for point in points if "log" not in name]
    assert set(values) == {0}


def test_the_metrics_have_the_contracts_names_units_and_labels(fresh, told_all):
    assert told_all
    receiver = fresh.receiver
    assert receiver.metric_names() >= HISTOGRAMS.keys() | LABELS.keys()
    for name, labels in LABELS.items():
        assert all(set(point.attributes) == labels for point in receiver.points(name)), name
    for name, unit in HISTOGRAMS.items():
        assert {(point.unit, point.type) for point in receiver.points(name)} == {(unit, "histogram")}
    assert {point.unit for point in receiver.points("parley.cost")} == {"{USD}"}


def test_the_counters_are_what_was_asked(fresh, told_all):
    receiver = fresh.receiver
    expected = {
        ("parley.turns", ()): 6,
        ("parley.turns", (("outcome", "answered"),)): 2,
        ("parley.turns", (("outcome", "refused"),)): 2,
        ("parley.turns", (("outcome", "failed"),)): 2,
        ("parley.errors", ()): 4,
        ("parley.errors", (("category", "validation"), ("fault", "caller"))): 1,
        ("parley.errors", (("category", "authentication"), ("fault", "caller"))): 1,
        ("parley.errors", (("category", "agent_service"), ("fault", "provider"))): 1,
        ("parley.errors", (("category", "network"), ("fault", "provider"))): 1,
        ("parley.rate_limit.decisions", ()): 4,
        ("parley.rate_limit.decisions", (("decision", "allowed"), ("role", "AUDITEE"))): 4,
        ("parley.turns.active", ()): 0,
        ("parley.audit.begun", ()): 6,
        ("parley.audit.committed", ()): 6,
        ("parley.sink.failures", ()): 0,
        ("parley.log.lines", (("type", "agent_query_completed"),)): 2,
        ("parley.log.lines", (("type", "agent_query_failed"),)): 2,
        ("parley.log.lines", (("type", "agent_query_refused"),)): 1,
        ("parley.log.lines", (("type", "access_denied"),)): 1,
    }
    assert told_all
    found = {(name, labels): total(receiver, name, **dict(labels)) for name, labels in expected}
    assert found == expected


def test_tokens_and_cost_are_the_sums_of_the_rows(fresh, told_all):
    rows, receiver = fresh.service.rows(), fresh.receiver
    assert total(receiver, "parley.tokens", direction="input") == sum(row["inputTokens"] for row in rows)
    assert total(receiver, "parley.tokens", direction="output") == sum(row["outputTokens"] for row in rows)
    spent = sum(row["costMicros"] for row in rows)
    assert round(total(receiver, "parley.cost") * 1_000_000) == spent
    haiku = total(receiver, "parley.cost", model="claude-haiku-5-5", role="AUDITEE")
    assert haiku == pytest.approx(told_all[1]["cost"])


def test_the_histograms_count_what_happened(fresh, told_all):
    assert told_all

    def counted(name: str) -> int:
        return sum(point.count or 0 for point in fresh.receiver.points(name))

    assert counted("gen_ai.client.operation.duration") == 6  # a tool's turn asks the model twice
    assert counted("gen_ai.invoke_agent.duration") == 4
    assert counted("gen_ai.execute_tool.duration") == 2
    tokens = fresh.receiver.points("gen_ai.client.token.usage", {"gen_ai.token.type": "input"})
    assert sum(point.sum or 0 for point in tokens) == total(
        fresh.receiver, "parley.tokens", direction="input"
    )


def test_log_records_are_the_lines_without_what_may_not_leave(fresh, told_all):
    (line,) = fresh.service.lines(type="agent_query_completed", traceId=told_all[0]["traceId"])
    (record,) = fresh.receiver.logs(told_all[0]["traceId"], "agent_query_completed")
    agent = next(s for s in fresh.receiver.spans(record.trace_id) if s.span_id == record.span_id)
    common = {"level", "type", "timestamp", "traceId", "spanId"}
    shown = {key: value for key, value in line.items() if key not in common | {"query", "userId"}}
    assert record.attributes == shown | {"enduser.pseudo.id": agent.attributes["enduser.pseudo.id"]}
    assert (record.severity, line["level"]) == ("INFO", "INFO")


def test_every_type_of_line_arrives_under_its_name(fresh, told_all):
    assert told_all
    names = [record.event_name for record in fresh.receiver.logs()]
    for name in ("service_started", "agent_query_refused", "access_denied", "agent_query_error"):
        assert name in names
    content = {"query", "error", "stack", "userId"}
    assert not [record for record in fresh.receiver.logs() if content & set(record.attributes)]


def test_no_signal_carries_the_message_or_the_name_of_the_caller(fresh, told_all):
    assert told_all
    receiver = fresh.receiver
    told_of = [*receiver.spans(), *receiver.logs()]
    told_of += [point for name in receiver.metric_names() for point in receiver.points(name)]
    assert not [each for each in told_of if CANARY in repr(each)]
    assert not [each for each in told_of if "dev" in each.attributes.values()]
    assert [line for line in fresh.service.lines() if CANARY in (line.get("query") or "")]


def test_content_is_exported_where_the_operator_says_so(start_service, receiver):
    service = start_service(receiver, AGENT_TELEMETRY_CONTENT="true")
    answer = ask(service, f"Hello {CANARY}").json()
    failed = ask(service, f"[sim:400] {CANARY}").json()

    def record(trace_id: str, name: str) -> LogRecord:
        return receiver.wait(lambda: receiver.logs(trace_id, name))[0]

    completed = record(answer["traceId"], "agent_query_completed")
    assert completed.attributes["query"] == f"Hello {CANARY}"
    assert "userId" not in completed.attributes
    assert {"query", "error", "stack"} <= set(record(failed["traceId"], "agent_query_failed").attributes)


def test_with_nothing_set_nothing_is_exported_and_all_else_works(start_service):
    service = start_service(
        **SOON
    )  # were there exporters, they would soon tell in the log that nobody is there
    answer = ask(service, "Hello").json()
    (row,) = service.wait_for_rows(entityId=answer["id"])
    line = ending(service, answer["id"])
    assert {row["traceId"], line["traceId"]} == {answer["traceId"]}
    assert service.stop() == 0
    assert [line["type"] for line in service.lines() if line["type"] != "audit_checkpoint"] == [
        "service_started",
        "agent_query_completed",
        "service_stopped",
    ]


def test_with_the_sdk_disabled_trace_ids_are_minted_all_the_same(start_service):
    with Receiver() as receiver:
        service = start_service(receiver, OTEL_SDK_DISABLED="true")
        answer = ask(service, "Hello").json()
        (row,) = service.wait_for_rows(entityId=answer["id"])
        line = ending(service, answer["id"])
        assert re.fullmatch("[0-9a-f]{32}", answer["traceId"])
        assert int(answer["traceId"], 16)
        assert {row["traceId"], line["traceId"]} == {answer["traceId"]}
        assert ask(service, "Hello").json()["traceId"] != answer["traceId"]
        assert ask(service, "", headers=TRACEPARENT).headers["x-trace-id"] == PARENT_TRACE
        assert service.stop() == 0
        assert receiver.attempts == 0


@pytest.mark.parametrize(
    ("mode", "protocol"),
    [(Mode.REFUSE, "http/protobuf"), (Mode.BLACK_HOLE, "http/protobuf"), (Mode.BLACK_HOLE, "grpc")],
)
def test_a_collector_that_does_not_take_anything_changes_no_answer_and_no_end(start_service, mode, protocol):
    with Receiver(mode) as receiver:
        service = start_service(**receiver.settings(protocol), **SOON)
        wait(lambda: receiver.attempts)
        answered_and_ends_well(service)


def test_a_collector_that_is_not_there_changes_no_answer_and_no_end(start_service):
    with Receiver() as receiver:
        gone = receiver.settings()
    answered_and_ends_well(start_service(**gone, **SOON))


def answered_and_ends_well(service: Service) -> None:
    for _ in range(5):
        assert ask(service, "Hello").status_code == 200
    assert service.stop() == 0
    assert len(service.rows()) == 5
    assert len(service.lines(type="agent_query_completed")) == 5
    assert len(service.lines(type="service_stopped")) == 1
    assert UNSENT.strip() in service.stderr
