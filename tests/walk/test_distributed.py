"""One trace over three services: whoever calls, Parley, and a gateway that stands for the model's API."""

from contextlib import contextmanager

import pytest
from msgspec import Struct
from opentelemetry import propagate, trace

from service.simulator import build
from tests.harness.chat import ask, stream
from tests.harness.process import Process
from tests.harness.sdk import span_of, traced
from tests.harness.service import PROGRAM
from tests.harness.tree import tree
from tests.upstream import serve

MODEL = "claude-sonnet-5-5"
TOLD = {"AGENT_MODEL_TRACE_CONTEXT": "true", "ANTHROPIC_API_KEY": "sk-ant-none"}
CONTEXT = {"traceparent", "tracestate", "baggage", "b3", "x-pigeon"}
BAGGAGE = {"baggage": "user=ann,tenant=acme", "tracestate": "vendor=1"}


class Gateway(Struct, frozen=True):
    """The simulator behind a door that writes down with which headers it was asked."""

    url: str
    heard: list[dict[str, str]]

    @property
    def contexts(self) -> list[dict[str, str]]:
        return [{name: value for name, value in each.items() if name in CONTEXT} for each in self.heard]


@contextmanager
def gateway():
    simulator, heard = build(), []

    async def door(scope, receive, send):
        if scope["type"] == "http":
            heard.append({name.decode(): value.decode() for name, value in scope["headers"]})
        await simulator(scope, receive, send)

    with serve(door) as url:
        yield Gateway(url, heard)


@pytest.mark.parametrize("how", ["json", "stream"])
def test_a_caller_s_trace_goes_on_through_us_to_the_model_s_gateway(start_service, receiver, how):
    with gateway() as upstream, traced() as kept:
        service = start_service(receiver, ANTHROPIC_BASE_URL=upstream.url, **TOLD)
        with trace.get_tracer("caller").start_as_current_span("caller") as span:
            headers = {}
            propagate.inject(headers)
            trace_id = f"{span.get_span_context().trace_id:032x}"
            if how == "json":
                answer = ask(service, "What is 12*7? [sim:tool]", headers=headers | BAGGAGE)
                assert answer.headers["x-trace-id"] == trace_id
            else:
                with stream(service, "What is 12*7? [sim:tool]", headers=headers | BAGGAGE) as events:
                    events.rest()
    ours = receiver.wait_for_trace(trace_id)
    (row,) = service.wait_for_rows(traceId=trace_id)
    assert row["outcome"] == "answered"
    assert tree([span_of(each) for each in kept.get_finished_spans()] + ours, trace_id).splitlines() == [
        "caller INTERNAL",
        "  POST /api/v1/agent/chat SERVER",
        "    invoke_agent parley INTERNAL",
        f"      chat {MODEL} CLIENT",
        "      execute_tool calculate INTERNAL",
        f"      chat {MODEL} CLIENT",
    ]
    chats = sorted((each for each in ours if each.kind == "CLIENT"), key=lambda each: each.start)
    assert upstream.contexts == [
        {"traceparent": f"00-{trace_id}-{each.span_id}-03", "tracestate": "vendor=1"} for each in chats
    ]


def test_whoever_does_not_want_it_tells_the_model_s_api_nothing(start_service):
    with gateway() as upstream:
        service = start_service(ANTHROPIC_BASE_URL=upstream.url, ANTHROPIC_API_KEY="sk-ant-none")
        assert ask(service, "Hello", headers=BAGGAGE).status_code == 200
    assert upstream.contexts == [{}]


def test_a_trace_that_is_not_kept_says_so_to_the_next(start_service):
    with gateway() as upstream:
        service = start_service(ANTHROPIC_BASE_URL=upstream.url, OTEL_TRACES_SAMPLER="always_off", **TOLD)
        trace_id = ask(service, "Hello").json()["traceId"]
    ((context,),) = [upstream.contexts]
    version, told, _, flags = context["traceparent"].split("-")
    assert (version, told, int(flags, 16) & 1) == ("00", trace_id, 0)


def test_propagators_are_those_of_the_environment(start_service):
    with gateway() as upstream:
        service = start_service(ANTHROPIC_BASE_URL=upstream.url, OTEL_PROPAGATORS="none", **TOLD)
        sent = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
        assert ask(service, "Hello", headers=sent).headers["x-trace-id"] != "ab" * 16
    assert upstream.contexts == [{}]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_propagator_that_is_not_installed_stops_the_start_by_its_name(tmp_path, workers):
    settings = {"AGENT_PORT": "0", "OTEL_PROPAGATORS": "tracecontext,nope"}
    settings |= {"AGENT_RATE_LIMIT_STORE": "redis://127.0.0.1:1"}
    with Process([*PROGRAM, "serve", "--workers", workers], tmp_path, settings) as process:
        assert process._popen.wait(30) == 2
        process.kill()
        said = "\n".join(process.stderr)
        assert "parley: OTEL_PROPAGATORS: Propagator nope not found" in said
        assert "Traceback" not in said


def test_who_only_looks_does_not_mind_it(service):
    settings = {"OTEL_PROPAGATORS": "nope"}
    with Process([*PROGRAM, "keys", "list"], service.cwd, settings) as process:
        assert process._popen.wait(30) == 0
