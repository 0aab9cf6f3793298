"""parley trace over a real Jaeger: the spans of a query, and what is said where it has none or is away."""

import json
from secrets import token_hex

import pytest

from tests.conftest import SOON
from tests.harness.chat import ask
from tests.harness.service import Service
from tests.harness.waiting import wait
from tests.stack.real.stack import Stack


@pytest.fixture(scope="module")
def jaeger(tmp_path_factory):
    with Stack(tmp_path_factory.mktemp("jaeger"), ("jaeger",)) as stack:
        yield stack


@pytest.fixture(scope="module")
def service(jaeger, tmp_path_factory):
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{jaeger.address(14317)}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "AGENT_JAEGER_URL": f"http://{jaeger.address(16686)}",
    }
    with Service(tmp_path_factory.mktemp("service"), SOON | settings) as service:
        yield service


def traced(service: Service, trace_id: str) -> dict:
    """What the command prints, once Jaeger has the trace."""
    told: list[dict] = []

    def whole() -> bool:
        told.append(json.loads(service.cli("trace", trace_id, "--json").stdout))
        return told[-1]["source"] == "jaeger" and told[-1]["steps"][0]["name"].startswith("POST ")

    wait(whole, seen=service.said)
    return told[-1]


def names(step: dict) -> dict:
    return {step["name"]: [names(each) for each in step["steps"]]}


def test_the_spans_of_a_query_are_drawn_as_jaeger_has_them(service, jaeger):
    answer = ask(service, "What is 12*7? [sim:tool]").json()
    service.wait_for_rows(entityId=answer["id"])
    told = traced(service, answer["traceId"])
    chat, tool = f"chat {answer['model']}", "execute_tool calculate"
    inner = [{chat: []}, {tool: []}, {chat: []}]
    assert list(map(names, told["steps"])) == [{"POST /api/v1/agent/chat": [{"invoke_agent parley": inner}]}]
    assert told["link"] == f"http://{jaeger.address(16686)}/trace/{answer['traceId']}"
    assert [event["entityId"] for event in told["events"]] == [answer["id"]]
    words = service.cli("trace", answer["id"]).stdout
    assert "Spans, from Jaeger:\n  POST /api/v1/agent/chat " in words
    assert f"\n        {tool} " not in words
    assert f"\n      {tool} " in words


def test_a_failure_stands_beside_its_spans(service):
    trace_id = ask(service, "[sim:500]").headers["x-trace-id"]
    service.wait_for_rows(traceId=trace_id)
    (root,) = traced(service, trace_id)["steps"]
    (turn,) = root["steps"]
    (chat,) = turn["steps"]
    assert root["note"] == "failed, upstream_error"
    assert chat["note"] == "upstream_error, attempts 3"


def test_a_trace_that_jaeger_does_not_have_comes_from_the_record(service):
    trace_id = token_hex(16)
    ask(service, "Hello", headers={"traceparent": f"00-{trace_id}-{token_hex(8)}-00"})  # not sampled
    service.wait_for_rows(traceId=trace_id)
    done = service.cli("trace", trace_id)
    assert done.returncode == 0
    assert "parley: Jaeger does not have this trace" in done.stderr
    assert "Steps, from the record:" in done.stdout


def test_without_jaeger_the_record_serves(service, jaeger):
    answer = ask(service, "Hello").json()
    service.wait_for_rows(entityId=answer["id"])
    traced(service, answer["traceId"])
    jaeger.end("jaeger")
    done = service.cli("trace", answer["id"])
    assert (done.returncode, "Jaeger does not answer" in done.stderr) == (0, True)
    assert "Steps, from the record:" in done.stdout
