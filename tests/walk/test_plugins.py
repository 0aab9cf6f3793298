"""What others plug in, by entry points and the environment alone: sinks, exporters, samplers, a whole SDK."""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from tests.conftest import SOON
from tests.harness.chat import ask, stream
from tests.harness.otlp import Receiver
from tests.harness.process import Process
from tests.harness.service import PROGRAM, Service
from tests.harness.site import install
from tests.harness.telling import ending, told, total
from tests.harness.tree import tree
from tests.harness.waiting import wait
from tests.walk.test_distributed import TOLD, gateway

SOURCE = Path(__file__).parent / "plugins"
BIN = Path(sys.executable).parent
SINKS = "audit,logs,metrics,diary,clumsy"
CHAT = "POST /api/v1/agent/chat"

DECLARED = """\
file_format: "1.0"
resource:
  attributes:
    - {{name: service.name, value: declared}}
propagator:
  composite: [{{tracecontext: }}]
tracer_provider:
  processors:
    - batch:
        schedule_delay: 100
        exporter:
          otlp_http: {{endpoint: "{endpoint}/v1/traces"}}
    - batch:
        schedule_delay: 100
        exporter:
          notebook: {{}}
meter_provider:
  readers:
    - periodic:
        interval: 500
        exporter:
          otlp_http: {{endpoint: "{endpoint}/v1/metrics"}}
logger_provider:
  processors:
    - batch:
        schedule_delay: 100
        exporter:
          otlp_http: {{endpoint: "${{COLLECTOR}}/v1/logs"}}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder into which pip has installed the strangers' wheel."""
    return install(SOURCE, tmp_path_factory.mktemp("plugin"))


@pytest.fixture
def plugged(site, tmp_path, start_service):
    """Start a service that finds the strangers' package; `written()` is what that wrote."""
    file = tmp_path / "written"

    def start(receiver=None, **settings):
        return start_service(receiver, PYTHONPATH=str(site), STRANGER_FILE=str(file), **settings)

    def written(**fields):
        lines = map(json.loads, file.read_text().splitlines()) if file.exists() else ()
        return [line for line in lines if fields.items() <= line.items()]

    start.written = written
    return start


def test_a_sink_of_others_is_told_every_turn(plugged):
    service = plugged(AGENT_SINKS=SINKS)
    answer = ask(service, "What is 12*7?").json()
    refused = ask(service, "").headers["x-request-id"]
    wait(lambda: len(plugged.written(verb="closed")) == 2)
    assert service.stop() == 0
    assert [line["verb"] for line in plugged.written()] == ["start", "opened", "closed", "closed", "stop"]
    assert plugged.written(verb="start") == [{"verb": "start", "environment": "development"}]
    cost = round(answer["cost"] * 1_000_000)
    assert plugged.written(verb="closed") == [
        {"verb": "closed", "turn": answer["id"], "outcome": "answered", "cost": cost},
        {"verb": "closed", "turn": refused, "outcome": "refused", "cost": 0},
    ]


def test_a_sink_that_fails_is_counted_and_named_and_changes_nothing(plugged, receiver):
    service = plugged(receiver, AGENT_SINKS=SINKS)
    answer = ask(service, "Hello").json()
    assert ending(service, answer["id"])["type"] == "agent_query_completed"
    assert service.wait_for_rows(entityId=answer["id"])
    assert plugged.written(verb="closed", turn=answer["id"])
    receiver.wait(lambda: total(receiver, "parley.sink.failures", sink="clumsy") == 2)
    assert receiver.points("parley.sink.failures", {"sink": "diary"})
    assert total(receiver, "parley.sink.failures", sink="diary") == 0
    assert service.stop() == 0
    assert [line["verb"] for line in service.lines(type="sink_failed", sink="clumsy")] == [
        "opened",
        "closed",
        "stop",
    ]


def test_a_sink_that_is_installed_and_not_chosen_is_not_there(plugged):
    service = plugged()
    ask(service, "Hello")
    assert service.stop() == 0
    assert plugged.written() == []


def test_a_sink_that_is_chosen_and_not_installed_is_named(tmp_path):
    with Process([*PROGRAM, "serve"], tmp_path, {"AGENT_PORT": "0", "AGENT_SINKS": SINKS}) as process:
        assert process._popen.wait(30) == 2
        process.kill()
        assert "diary, clumsy" in "\n".join(process.stderr)


def test_a_tool_of_others_is_run_and_told_as_ours_are(plugged, receiver):
    service = plugged(receiver, AGENT_TOOLS="note")
    answer = ask(service, "[sim:tool] Write this down").json()
    assert answer["toolsCalled"] == ["note"]
    (noted,) = plugged.written(turn=answer["id"])
    assert (noted["user"], list(noted)) == ("dev", ["noted", "turn", "user"])
    spans = told(service, receiver, answer["id"])
    assert "execute_tool note" in tree(receiver.wait_for_trace(answer["traceId"]), answer["traceId"])
    assert spans.row["metadata"]["toolsCalled"] == spans.line["toolsCalled"] == ["note"]
    assert [row["name"] for row in json.loads(service.cli("tools", "--json").stdout) if row["on"]] == ["note"]


def test_a_tool_that_is_chosen_and_not_installed_stops_the_start(tmp_path):
    with Process([*PROGRAM, "serve"], tmp_path, {"AGENT_PORT": "0", "AGENT_TOOLS": "note"}) as process:
        assert process._popen.wait(30) == 2
        process.kill()
        assert "AGENT_TOOLS: no such tool: note" in "\n".join(process.stderr)


def test_an_exporter_of_others_beside_otlp(plugged, receiver):
    service = plugged(receiver, OTEL_TRACES_EXPORTER="notebook,otlp")
    trace_id = ask(service, "Hello").json()["traceId"]
    spans = {span.name for span in receiver.wait_for_trace(trace_id)}
    wait(lambda: {line["span"] for line in plugged.written(trace=trace_id)} == spans)
    assert CHAT in spans


def test_an_exporter_of_others_alone(plugged):
    service = plugged(OTEL_TRACES_EXPORTER="notebook", **SOON)
    trace_id = ask(service, "Hello").json()["traceId"]
    wait(lambda: len(plugged.written(trace=trace_id)) == 3)


def test_a_sampler_of_others_chooses_what_is_kept_and_nothing_else_changes(plugged, receiver):
    named = {"OTEL_TRACES_SAMPLER": "only_named", "OTEL_TRACES_SAMPLER_ARG": CHAT}
    service = plugged(receiver, **named)
    other = httpx.get(f"{service.url}/nowhere", trust_env=False).headers["x-trace-id"]
    kept = ask(service, "Hello").json()
    assert len(receiver.wait_for_trace(kept["traceId"])) == 3
    assert service.stop() == 0
    assert receiver.spans(other) == []


def test_a_propagator_of_others_is_heard_and_spoken(plugged, receiver):
    with gateway() as upstream:
        service = plugged(receiver, OTEL_PROPAGATORS="pigeon", ANTHROPIC_BASE_URL=upstream.url, **TOLD)
        sent = {"x-pigeon": f"{'ab' * 16}.{'cd' * 8}", "traceparent": f"00-{'ef' * 16}-{'cd' * 8}-01"}
        assert ask(service, "Hello", headers=sent).headers["x-trace-id"] == "ab" * 16
    spans = receiver.wait_for_trace("ab" * 16)
    assert {span.parent_id for span in spans if span.kind == "SERVER"} == {"cd" * 8}
    (chat,) = [span for span in spans if span.kind == "CLIENT"]
    assert upstream.contexts == [{"x-pigeon": f"{'ab' * 16}.{chat.span_id}"}]


def test_what_is_sampled_out_is_still_told_by_row_and_line(plugged, receiver):
    service = plugged(receiver, OTEL_TRACES_SAMPLER="only_named", OTEL_TRACES_SAMPLER_ARG="nothing")
    answer = ask(service, "Hello").json()
    (row,) = service.wait_for_rows(entityId=answer["id"])
    assert row["traceId"] == answer["traceId"] == ending(service, answer["id"])["traceId"]
    receiver.wait(lambda: receiver.logs(answer["traceId"], "agent_query_completed"))
    assert service.stop() == 0
    assert receiver.spans(answer["traceId"]) == []


def test_a_configuration_file_is_the_whole_sdk(plugged, tmp_path):
    with Receiver() as receiver:
        endpoint = receiver.settings()["OTEL_EXPORTER_OTLP_ENDPOINT"]
        (tmp_path / "otel.yaml").write_text(DECLARED.format(endpoint=endpoint))
        service = plugged(OTEL_CONFIG_FILE=str(tmp_path / "otel.yaml"), COLLECTOR=endpoint)
        answer = ask(service, "Hello").json()
        spans = told(service, receiver, answer["id"])
        assert spans.server.resource["service.name"] == "declared"
        receiver.wait(lambda: receiver.logs(answer["traceId"], "agent_query_completed"))
        receiver.wait(lambda: total(receiver, "parley.turns", outcome="answered") == 1)
        wait(lambda: len(plugged.written(trace=answer["traceId"])) == 3)
        assert service.stop() == 0


@pytest.mark.parametrize(
    "text",
    ["file_format: '9.0'\n", "not: [closed", "file_format: '1.0'\ntracer_provider: 7\n", None],
    ids=["version", "syntax", "schema", "missing"],
)
def test_a_configuration_file_that_does_not_hold_stops_the_start_by_its_name(tmp_path, text):
    if text is not None:
        (tmp_path / "otel.yaml").write_text(text)
    settings = {"AGENT_PORT": "0", "OTEL_CONFIG_FILE": str(tmp_path / "otel.yaml")}
    with Process([*PROGRAM, "serve"], tmp_path, settings) as process:
        assert process._popen.wait(30) == 2
        process.kill()
        said = "\n".join(process.stderr)
        assert "parley: OTEL_CONFIG_FILE: " in said
        assert "Traceback" not in said
        assert process.stdout == []


def test_with_the_sdk_off_sinks_are_told_all_the_same(plugged):
    with Receiver() as receiver:
        service = plugged(receiver, AGENT_SINKS=SINKS, OTEL_SDK_DISABLED="true")
        answer = ask(service, "Hello").json()
        wait(lambda: plugged.written(verb="closed", turn=answer["id"]))
        assert service.wait_for_rows(entityId=answer["id"])
        assert service.stop() == 0
        assert receiver.attempts == 0


def test_under_opentelemetry_instrument_everything_is_told_once(tmp_path):
    program = (str(BIN / "opentelemetry-instrument"), str(BIN / "parley"))
    with Receiver() as receiver:
        settings = receiver.settings() | SOON | {"OTEL_SERVICE_NAME": "instrumented"}
        settings |= {"OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true"}
        with Service(tmp_path, settings, program) as service:
            answer = ask(service, "What is 12*7? [sim:tool]").json()
            with stream(service, "Hello") as streamed:
                streamed.rest()
            spans = told(service, receiver, answer["id"])
            assert tree(receiver.spans(answer["traceId"]), answer["traceId"]).splitlines() == [
                f"{CHAT} SERVER",
                "  invoke_agent parley INTERNAL",
                "    chat claude-sonnet-5-5 CLIENT",
                "    execute_tool calculate INTERNAL",
                "    chat claude-sonnet-5-5 CLIENT",
            ]
            assert spans.server.resource["service.name"] == "instrumented"
            receiver.wait(lambda: total(receiver, "parley.turns", outcome="answered") == 2)
            assert service.stop() == 0
            assert total(receiver, "parley.turns", outcome="answered") == 2
            assert len(receiver.logs(answer["traceId"], "agent_query_completed")) == 1
            assert {log.event_name for log in receiver.logs()} >= {"service_started", "service_stopped"}
            assert "" not in {log.event_name for log in receiver.logs()}
            assert len(service.lines(type="agent_query_completed")) == 2


def test_the_version_is_told_by_every_signal(service, receiver):
    answer = ask(service, "Hello").json()
    resource = told(service, receiver, answer["id"]).server.resource
    assert resource["service.version"] == version("parley")
