"""parley trace: what the record says of a turn, drawn as spans are; what Jaeger says, as it would."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from msgspec import structs

from service.cli import trace as trace_command
from service.cli.jaeger import Unasked, trace
from service.cli.trace import lines, recorded
from service.cli.waterfall import Step, draw
from service.store.event import Event
from service.web.ask import HttpAsk

TOLD = {
    "rateLimit": {"decision": "allowed", "policy": "role", "remaining": 19, "limit": 20},
    "modelCalls": [{"model": "m", "attempts": 2, "responseId": "msg_1"}],
    "toolCalls": [{"name": "calculate\x1b", "outcome": "finished", "milliseconds": 3}],
}
EVENT = Event(
    id="1", entity_type="AGENT_QUERY", entity_id="1", action="QUERY", actor_id="ann", metadata=TOLD,
    created_at="2026-11-23T00:00:00.000Z", role="CFO", outcome="failed", category="network",
    code="upstream_unreachable", model="m", trace_id="ab", request_id="1", input_tokens=5, output_tokens=7,
    total_tokens=12, cost=0.000123, cost_micros=123, response_time=42, count=1, log_index=0,
)  # fmt: skip


def test_a_turn_is_told_step_by_step_and_moves_no_cursor():
    assert list(lines(EVENT)) == [
        "QUERY 1 at 2026-11-23T00:00:00.000Z",
        "  trace    ab",
        "  caller   ann, role CFO",
        "  limit    allowed by role, 19 of 20 left",
        "  model    m, attempts 2, response msg_1",
        "  tool     calculate\\u001b finished in 3 ms",
        "  tokens   5 in, 7 out",
        "  cost     $0.000123",
        "  error    network, upstream_unreachable",
        "  outcome  failed after 42 ms",
    ]


def test_steps_of_the_record_are_drawn_as_spans_in_the_order_they_began():
    told = {
        "modelCalls": [
            {"model": "m", "attempts": 1, "responseId": "a", "startedAfterMs": 4, "milliseconds": 1200},
            {"model": "m", "attempts": 3, "responseId": "b", "startedAfterMs": 1300, "milliseconds": 700},
        ],
        "toolCalls": [
            {"name": "calculate", "outcome": "finished", "startedAfterMs": 1204, "milliseconds": 0}
        ],
    }
    event = structs.replace(EVENT, metadata=told, outcome="answered", code=None, response_time=2000)
    assert list(draw([*recorded(event)])) == [
        "invoke_agent parley              0 ms     2,000 ms  ==============================  answered",
        "  chat m                         4 ms     1,200 ms  ==================",
        "  execute_tool calculate     1,204 ms         0 ms                    =             finished",
        "  chat m                     1,300 ms       700 ms                     ==========   attempts 3",
    ]


def test_of_what_began_in_one_millisecond_the_call_of_the_model_that_follows_is_last():
    told = {
        "modelCalls": [
            {"model": "m", "attempts": 1, "responseId": "a", "startedAfterMs": 4, "milliseconds": 8},
            {"model": "m", "attempts": 1, "responseId": "b", "startedAfterMs": 12, "milliseconds": 7},
        ],
        "toolCalls": [{"name": "calculate", "outcome": "finished", "startedAfterMs": 12, "milliseconds": 0}],
    }
    event = structs.replace(EVENT, metadata=told, outcome="answered", code=None, response_time=20)
    (turn,) = recorded(event)
    assert [step.name for step in turn.steps] == ["chat m", "execute_tool calculate", "chat m"]


def test_a_record_of_an_earlier_version_is_drawn_without_the_times_it_does_not_have():
    first, *others = draw([*recorded(EVENT)])
    assert first.split() == ["invoke_agent", "parley", "0", "ms", "42", "ms", "=" * 30, "failed,", EVENT.code]
    assert [line.split() for line in others] == [
        ["chat", "m", "-", "ms", "-", "ms", "attempts", "2"],
        ["execute_tool", "calculate\\u001b", "-", "ms", "3", "ms", "finished"],
    ]


def test_a_refusal_is_the_request_alone_and_a_look_at_the_audit_has_no_steps():
    refused = structs.replace(EVENT, metadata={}, outcome="refused", code="rate_limited")
    (step,) = recorded(refused)
    assert (step.name, step.note, step.steps) == ("POST /api/v1/agent/chat", "refused, rate_limited", ())
    assert list(recorded(structs.replace(EVENT, entity_type="AUDIT_ACCESS"))) == []


def span(name, at, end, parent="", **attributes):
    return {
        "spanId": name,
        "name": name,
        "parentSpanId": parent,
        "startTimeUnixNano": str(10**18 + at * 1_000_000),
        "endTimeUnixNano": str(10**18 + end * 1_000_000),
        "attributes": [{"key": key, "value": value} for key, value in attributes.items()],
    }


SPANS = [
    span("chat", 20, 80, "agent", **{"parley.model.attempts": {"intValue": "2"}}),
    span("agent", 10, 90, "server"),
    span("elsewhere", 5, 7, "a-parent-of-another-service"),
    span("server", 0, 100, **{"parley.turn.outcome": {"stringValue": "answered"}}),
    span("tool", 85, 86, "agent", **{"error.type": {"stringValue": "invalid"}}),
]
TREE = [
    "server            0 ms       100 ms  ==============================  answered",
    "  agent          10 ms        80 ms     ========================",
    "    chat         20 ms        60 ms        ==================        attempts 2",
    "    tool         85 ms         1 ms                           =      invalid",
    "elsewhere         5 ms         2 ms   =",
]


@contextmanager
def jaeger(status, body):
    """Answers everything so; gives its address and what it was asked."""
    asked = []

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Authorization")))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", asked
        server.shutdown()


def answer(*scopes):
    """As Jaeger spreads spans over resources and scopes."""
    spread = [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": spans}]} for spans in scopes]
    return json.dumps({"result": {"resourceSpans": spread}}).encode()


def test_spans_are_drawn_below_their_parents_from_wherever_they_come():
    with jaeger(200, answer(SPANS[:2], SPANS[2:])) as (address, asked):
        found = trace(f"http://user:pass@{address}/below/", "ab" * 16)
    assert list(draw(found)) == TREE
    assert asked == [(f"/below/api/v3/traces/{'ab' * 16}", "Basic dXNlcjpwYXNz")]


def test_a_trace_that_is_not_there_is_no_error():
    with jaeger(404, b'{"error": {"httpCode": 404}}') as (address, _):
        assert trace(f"http://{address}", "ab" * 16) == ()


@pytest.mark.parametrize(
    ("status", "body"), [(500, b""), (200, b"<html>"), (200, b"{}"), (200, answer([{"name": 1}]))]
)
def test_what_is_no_jaeger_is_said_to_be_none(status, body):
    with jaeger(status, body) as (address, _), pytest.raises(Unasked):
        trace(f"http://{address}", "ab" * 16)


def test_nobody_at_home_is_said():
    with pytest.raises(Unasked, match="Jaeger does not answer: "):
        trace("http://127.0.0.1:1", "ab" * 16)


def test_nothing_in_a_drawing_moves_a_cursor():
    (line,) = draw([Step(name="a\x1b[2J", started_after_ms=0, milliseconds=1, note="b\n")])
    assert line.isprintable()


@pytest.mark.parametrize("address", ["jaeger:16686", "ftp://jaeger", "http://", "http://a?b"])
def test_an_address_that_is_none_is_wrong_use(parley, address):
    said = parley("trace", "x", "--jaeger", address)
    assert said.status == 2
    assert "http" in said.err


@pytest.mark.parametrize(
    "command", [("audit", "list"), ("keys", "list"), ("usage",), ("limits", "show"), ("trace", "x")]
)
def test_nothing_to_work_on_is_said_and_makes_no_database(parley, tmp_path, command):
    said = parley(*command)
    assert (said.status, said.out) == (2, "")
    assert "There is no database at" in said.err
    assert not (tmp_path / "var").exists()


def test_a_refused_turn_is_its_routes_span():
    assert HttpAsk.route == trace_command.ROUTE
