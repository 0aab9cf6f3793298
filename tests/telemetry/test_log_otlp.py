import logging

import pytest
from opentelemetry import trace
from opentelemetry._logs import SeverityNumber

from telemetry import log, names
from telemetry.sinks.logs import LogSink
from tests.harness.records import CANARY, answered, failed, refused
from tests.harness.sdk import logged, traced


@pytest.fixture
def kept():
    with logged() as kept:
        yield kept


def exported(kept) -> list:
    return [each.log_record for each in kept.get_finished_logs()]


def sink(**logs) -> LogSink:
    from config.settings import Logs, Settings

    return LogSink(Settings(logs=Logs(**logs)))


def test_the_copy_is_an_event_named_by_its_type(kept, start_log):
    out = start_log()
    sink().closed(answered())
    (record,) = exported(kept)
    assert (record.event_name, record.severity_text) == ("agent_query_completed", "INFO")
    assert record.severity_number is SeverityNumber.INFO
    assert record.body is None
    assert record.timestamp // 1_000_000 == pytest.approx(record.observed_timestamp // 1_000_000, abs=60_000)
    assert len(out.lines) == 1


def test_the_copy_omits_content_and_names_nobody(kept, start_log):
    out = start_log()
    sink().closed(failed())
    error, ending = exported(kept)
    assert (error.event_name, ending.event_name) == ("agent_query_error", "agent_query_failed")
    for record in (error, ending):
        assert not {"query", "error", "stack", "userId"} & set(record.attributes)
        assert record.attributes["enduser.pseudo.id"] == "pseudonym-1"
    assert ending.attributes["tokens"] == {"input": 0, "output": 0, "total": 0}
    assert ending.attributes["code"] == "upstream_error"
    told = out.objects[1]
    assert (told["query"], told["userId"], told["error"]) == (CANARY, "user-1", "UpstreamFailed: no")
    assert told["stack"] == "Traceback: no"


def test_content_leaves_when_the_operator_says_so_but_never_a_name(kept, start_log):
    start_log(content=True)
    sink().closed(failed())
    ending = exported(kept)[1]
    assert ending.attributes["query"] == CANARY
    assert {"error", "stack"} <= set(ending.attributes)
    assert "userId" not in ending.attributes


def test_a_caller_nobody_knows_has_no_pseudonym(kept, start_log):
    from telemetry.failure import Code
    from tests.harness.records import an_opening

    start_log()
    sink().closed(refused(Code.UNAUTHENTICATED, opening=an_opening(caller=None)))
    (record,) = exported(kept)
    assert record.event_name == "access_denied"
    assert not {"userId", "enduser.pseudo.id"} & set(record.attributes)


def test_a_name_never_leaves_where_no_pseudonym_stands_for_it(kept, start_log):
    start_log()
    log.say(names.SERVICE_STARTED, userId="user-1")
    assert "user-1" not in str(exported(kept)[0].attributes)


def test_the_copy_is_tied_to_span_and_request(kept, start_log):
    start_log()
    token = log.request_id.set("request-1")
    try:
        with traced(), trace.get_tracer("test").start_as_current_span("a") as span:
            log.say(names.SERVICE_STARTED)
    finally:
        log.request_id.reset(token)
    (record,) = exported(kept)
    context = span.get_span_context()
    assert (record.trace_id, record.span_id) == (context.trace_id, context.span_id)
    assert record.attributes["requestId"] == "request-1"


def test_a_librarys_words_stay_here(kept, start_log):
    out = start_log()
    logging.getLogger("some.library").error("may hold %s", CANARY)
    assert exported(kept) == []
    assert len(out.lines) == 1


def test_the_level_holds_for_the_copy_too(kept, start_log):
    start_log(level="warn")
    log.say(names.SERVICE_STARTED)
    log.say(names.MODEL_UNPRICED, logging.WARNING, model="m")
    assert [record.event_name for record in exported(kept)] == ["model_unpriced"]
