"""Providers are set once in a process, so each case has a process of its own."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from telemetry import providers
from tests.harness.otlp import Mode, Receiver

ROOT = Path(__file__).parents[2]
START = """
import json, os
from opentelemetry import _logs, metrics, trace
from telemetry import measuring, providers
"""
SAY = """
providers.start(os.environ)
with trace.get_tracer('parley').start_as_current_span('a') as span:
    ids = span.get_span_context()
metrics.get_meter('parley').create_counter('parley.turns').add(1)
_logs.get_logger('parley').emit(event_name='service_started')
"""
TELL = "\nprint(json.dumps([{}, ids.is_valid, span.is_recording()]))"


def run(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run Python with no OTEL_* but these; a process that does not end by itself fails the test."""
    clean = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | environ
    return subprocess.run(
        [sys.executable, "-c", START + code],
        capture_output=True,
        text=True,
        env=clean,
        timeout=120,
        check=False,
    )


def told(code: str, **environ: str) -> list:
    done = run(code, **environ)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


REFUSED = "\ntry: providers.start(os.environ)\nexcept providers.TelemetryError as error: print(error)"


@pytest.mark.parametrize("signal", ["TRACES", "METRICS", "LOGS"])
def test_a_wrong_exporter_is_refused_by_name(signal):
    done = run(REFUSED, **{f"OTEL_{signal}_EXPORTER": "no_such_thing"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("OTEL_*: ")
    assert "no_such_thing" in done.stdout


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
            "http/json",
        ),
        ({"OTEL_CONFIG_FILE": "/nowhere/otel.yaml"}, "OTEL_CONFIG_FILE"),
        ({"OTEL_PYTHON_ID_GENERATOR": "no_such_thing"}, "no_such_thing"),
    ],
)
def test_what_opentelemetry_refuses_we_refuse_in_its_words(environ, named):
    done = run(REFUSED, **environ)
    assert done.returncode == 0, done.stderr
    assert named in done.stdout


def test_with_nothing_set_nothing_is_made_and_stopping_is_quick():
    assert told(SAY + TELL.format("providers.stop()")) == [True, False, False]


@pytest.mark.parametrize("given", [{"OTEL_SDK_DISABLED": "false"}, {"OTEL_LOGS_EXPORTER": "console"}])
def test_where_spans_alone_are_not_taken_they_have_their_ids(given):
    done = run(SAY + TELL.format("providers.stop()"), **given)
    assert json.loads(done.stdout.splitlines()[-1]) == [True, True, False], done.stderr


CALLED = """
from opentelemetry.propagate import extract
at = extract({'traceparent': '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-%s'})
child = trace.get_tracer('parley').start_span('b', at)
counter = metrics.get_meter('parley').create_counter('b')
measured = [getattr(counter, '_is_enabled', bool)(), not measuring.NOBODY.is_set()]
print(json.dumps([child.is_recording(), child.get_span_context().trace_flags.sampled, *measured]))
"""
NOTHING, ALL, CALLERS = [False] * 4, [True] * 4, [False, True, False, False]


@pytest.mark.parametrize(
    ("exporter", "flags", "made"),
    [("none", "00", NOTHING), ("none", "01", CALLERS), ("console", "01", ALL)],
)
def test_what_nobody_takes_is_not_made_and_a_callers_sampled_trace_goes_on(exporter, flags, made):
    environ = {f"OTEL_{signal}_EXPORTER": exporter for signal in ("TRACES", "METRICS")}
    done = run("\nproviders.start(os.environ)" + CALLED % flags, **environ)
    assert json.loads(done.stdout.splitlines()[0]) == made, done.stderr


def test_with_the_sdk_off_spans_are_none_and_stopping_is_fine():
    assert told(SAY + TELL.format("providers.stop()"), OTEL_SDK_DISABLED="true") == [True, False, False]


def test_stopping_what_never_started_is_fine():
    assert told("print(json.dumps([providers.stop()]))") == [True]


def test_starting_twice_is_starting_once():
    code = SAY + "\nfirst = trace.get_tracer_provider(); providers.start(os.environ)"
    assert told(code + TELL.format("first is trace.get_tracer_provider()"))[0] is True


def test_providers_that_were_there_first_stay():
    code = (
        "\nfrom opentelemetry.sdk.trace import TracerProvider"
        "\ntheirs = TracerProvider(); trace.set_tracer_provider(theirs)" + SAY
    )
    assert told(code + TELL.format("trace.get_tracer_provider() is theirs")) == [True, True, False]


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, ("40", "40", None)),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "7"}, ("7", "7", None)),
        ({"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "3"}, ("3", "40", None)),
        ({"OTEL_CONFIG_FILE": "theirs.yaml"}, (None, None, None)),
    ],
)
def test_traces_and_logs_get_all_their_tries_unless_told_otherwise(environ, seconds):
    settled = dict(environ)
    providers.settle(settled)
    names = [f"OTEL_EXPORTER_OTLP_{signal}_TIMEOUT" for signal in ("TRACES", "LOGS", "METRICS")]
    assert tuple(settled.get(name) for name in names) == seconds


def test_over_grpc_a_collector_that_is_back_is_soon_found():
    code = (
        "\nproviders.start(os.environ)"
        "\nof = lambda provider: provider._active_span_processor._span_processors[0].span_exporter"
        "\nprint(json.dumps(of(trace.get_tracer_provider())._channel_options)); providers.stop()"
    )
    options = dict(told(code, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1"))
    assert options["grpc.max_reconnect_backoff_ms"] <= 5_000


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_what_waits_is_sent_when_it_stops(protocol):
    with Receiver() as receiver:
        environ = receiver.settings(protocol)
        assert told(SAY + TELL.format("providers.stop()"), **environ)[0] is True
        (span,) = receiver.spans()
        assert (span.name, span.resource["service.name"]) == ("a", "parley")
        assert span.resource["service.version"] == version("parley")
        assert [point.value for point in receiver.points("parley.turns")] == [1]
        assert [record.event_name for record in receiver.logs()] == ["service_started"]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_silent_collector_cannot_hold_the_process(protocol):
    with Receiver(Mode.BLACK_HOLE) as receiver:
        environ = receiver.settings(protocol) | {"OTEL_EXPORTER_OTLP_TIMEOUT": "3600"}
        assert told(SAY + TELL.format("providers.stop(0.5)"), **environ) == [False, True, False]


def test_a_collector_that_is_away_cannot_hold_the_process():
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }
    assert told(SAY + TELL.format("providers.stop(0.1)"), **environ)[1:] == [True, False]
