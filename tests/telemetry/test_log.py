import logging
import os
import subprocess
import sys
import warnings
from contextlib import suppress
from io import TextIOWrapper

import msgspec
import pytest

from config.settings import Logs, Settings
from telemetry import ids, log, names
from tests.harness.sdk import Counted, traced


def test_a_line_has_the_common_fields_and_its_own(out):
    log.say(names.SERVICE_STARTED, address="http://127.0.0.1:1")
    (told,) = out.objects
    assert list(told) == ["level", "type", "timestamp", "traceId", "spanId", "requestId", "address"]
    assert told | {"timestamp": ""} == {
        "level": "INFO",
        "type": "service_started",
        "timestamp": "",
        "traceId": None,
        "spanId": None,
        "requestId": None,
        "address": "http://127.0.0.1:1",
    }


def test_a_line_names_the_span_and_the_request_it_was_said_in(out):
    from opentelemetry.trace import use_span

    token, span = log.request_id.set("request-1"), ids.mint_span()
    try:
        with use_span(span):
            log.say(names.SERVICE_STARTED)
    finally:
        log.request_id.reset(token)
    context = span.get_span_context()
    (told,) = out.objects
    assert (told["traceId"], told["spanId"]) == (f"{context.trace_id:032x}", f"{context.span_id:016x}")
    assert told["requestId"] == "request-1"


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (logging.NOTSET, "DEBUG"),
        (logging.DEBUG, "DEBUG"),
        (logging.INFO, "INFO"),
        (25, "INFO"),
        (logging.WARNING, "WARN"),
        (logging.ERROR, "ERROR"),
        (logging.CRITICAL, "ERROR"),
    ],
)
def test_levels_have_the_contracts_names(level, name):
    assert log.level_name(level) == name
    assert log.severity(level).name == name


@pytest.mark.parametrize(
    ("least", "written"),
    [
        ("debug", ["DEBUG", "INFO", "WARN", "ERROR"]),
        ("info", ["INFO", "WARN", "ERROR"]),
        ("warn", ["WARN", "ERROR"]),
        ("error", ["ERROR"]),
    ],
)
def test_log_level_is_the_least_that_is_written(start_log, least, written):
    out = start_log(level=least)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        log.say(names.SERVICE_STARTED, level)
    assert [line["level"] for line in out.objects] == written


@pytest.mark.parametrize("least", ["debug", "info", "warn"])
def test_a_librarys_chatter_below_warnings_is_left_out(start_log, least):
    out = start_log(level=least)
    library = logging.getLogger("some.library")
    library.info("chatter")
    library.warning("%s of %d", "one", 2)
    (told,) = out.objects
    assert (told["type"], told["level"]) == ("log", "WARN")
    assert (told["logger"], told["message"]) == ("some.library", "one of 2")


def test_a_librarys_exception_has_error_and_stack(out):
    try:
        {}["a\nb"]
    except KeyError:
        logging.getLogger("some.library").exception("broke")
    (told,) = out.objects
    assert told["error"] == "KeyError: 'a\\nb'"
    assert told["stack"].startswith("Traceback (most recent call last):\n")
    assert len(out.lines) == 1


def test_a_warning_is_a_line(out):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)  # the block put the module's own function back
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert "DeprecationWarning: old" in out.objects[0]["message"]


def test_plain_text_is_not_json(start_log):
    out = start_log(structured=False)
    log.say(names.MODEL_UNPRICED, logging.WARNING, model="m", tokens={"input": 1})
    stamp, rest = out.lines[0].split(" ", 1)
    assert stamp.endswith("Z")
    assert rest == 'WARN  model_unpriced model="m" tokens={"input":1}'


def test_a_closed_stdout_never_raises_and_counts_nothing(start_log):
    counted = Counted(names.LOG_LINES, type=names.SERVICE_STARTED)
    out = start_log()
    log.say(names.SERVICE_STARTED)
    out.close()
    log.say(names.SERVICE_STARTED)
    logging.getLogger("some.library").error("words")
    assert counted() == 1


def test_a_pipe_nobody_reads_never_raises(start_log):
    reading, writing = os.pipe()
    os.close(reading)
    start_log()
    stream = os.fdopen(writing, "w")
    handler = log.StdoutHandler(stream, structured=True)
    with pytest.raises(BrokenPipeError):
        os.write(writing, b"x")
    for _ in range(3):
        handler.emit(logging.makeLogRecord({"msg": "x", "levelno": logging.ERROR}))
    with suppress(BrokenPipeError):
        stream.close()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_no_locale_loses_a_line(start_log, tmp_path, encoding):
    start_log()
    path = tmp_path / "out"
    with path.open("w", encoding=encoding) as stream:
        assert isinstance(stream, TextIOWrapper)
        log.start(Settings(logs=Logs()), stream)
        log.say(names.SERVICE_STARTED, address="né \N{ROCKET} \ud800")
    assert msgspec.json.decode(path.read_bytes())["address"] == "né \N{ROCKET} \\ud800"


def test_every_type_is_counted_from_zero(start_log):
    counted = {kind: Counted(names.LOG_LINES, type=kind) for kind in names.LOG_TYPES}
    start_log()
    log.say(names.SERVICE_STARTED)
    logging.getLogger("some.library").error("words")
    gains = {kind: gain() for kind, gain in counted.items() if gain()}
    assert gains == {names.SERVICE_STARTED: 1, names.FOREIGN: 1}


def test_a_service_on_a_real_stdout_writes_only_json():
    code = (
        "import logging, sys; from config.settings import Settings; from telemetry import log;"
        "log.start(Settings()); log.say('service_started', address='n\\xe9');"
        "logging.getLogger('x').error('a\\nb'); print('words for people', file=sys.stderr)"
    )
    environ = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environ, check=True)
    assert [msgspec.json.decode(line)["type"] for line in done.stdout.splitlines()] == [
        "service_started",
        "log",
    ]


def test_a_line_under_a_real_span_has_its_ids(out):
    from opentelemetry import trace

    with traced(), trace.get_tracer("test").start_as_current_span("a") as span:
        log.say(names.SERVICE_STARTED)
    assert out.objects[0]["spanId"] == f"{span.get_span_context().span_id:016x}"


class Speechless:
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_a_field_without_words_raises_nothing_on_stdout(out):
    written = Counted(names.LOG_LINES, type=names.SINK_FAILED)
    log.say(names.SINK_FAILED, logging.ERROR, error=Speechless())
    log.say(names.SINK_FAILED, logging.ERROR, error="said")
    assert [line["error"] for line in out.objects] == ["said"]
    assert written() == 1


def test_a_field_that_breaks_the_exporter_raises_nothing(monkeypatch):
    def breaking(**_: object) -> None:
        raise RuntimeError("no words")

    handler, emitted = log.OtlpHandler(content=True), []
    monkeypatch.setattr(handler.logger, "enabled", lambda **_: True)
    monkeypatch.setattr(handler.logger, "emit", lambda **told: (emitted.append(told), breaking()))
    record = logging.LogRecord("parley", logging.ERROR, "", 0, "", None, None)
    record.line = log.Line(names.SINK_FAILED, logging.ERROR, {"error": Speechless()})
    handler.emit(record)
    assert len(emitted) == 1
