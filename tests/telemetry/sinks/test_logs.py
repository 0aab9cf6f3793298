import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from config.settings import Logs, Settings
from telemetry import names
from telemetry.failure import Code, Failure
from telemetry.record import Attempt, Ending, Outcome
from telemetry.sinks.logs import LogSink, completed, ending, kept, lines
from tests.harness.records import (
    CANARY,
    LIMIT,
    SPAN_ID,
    TRACE_ID,
    a_model_call,
    an_opening,
    answered,
    failed,
    refused,
)

COMPLETED_FIELDS = [
    "userId", "role", "query", "responseTime", "cost", "tokens", "usageSource", "toolsCalled", "model",
    "outcome",
]  # fmt: skip
LIMITER = ("rate_limited", "tokens_limited", "concurrency_limited")
DENIED = ("unauthenticated", "forbidden", "cross_site")


def closed(record, **logs) -> list[tuple[str, int, dict]]:
    """What the sink hands to logging, seen by a handler of the test's own."""
    told: list[tuple[str, int, dict]] = []

    class Listening(logging.Handler):
        def emit(self, each: logging.LogRecord) -> None:
            told.append((each.line.type, each.levelno, dict(each.line.fields)))

    logger, listening = logging.getLogger("parley"), Listening()
    level = logger.level
    logger.addHandler(listening)
    logger.setLevel(logging.DEBUG)
    try:
        LogSink(Settings(logs=Logs(**logs))).closed(record)
    finally:
        logger.removeHandler(listening)
        logger.setLevel(level)
    return told


def test_an_answer_is_completed():
    line = ending(answered())
    assert (line.type, line.level, line.pseudonym) == (names.COMPLETED, logging.INFO, "pseudonym-1")
    assert line.fields == {
        "userId": "user-1",
        "role": "AUDITEE",
        "query": CANARY,
        "responseTime": 1234,
        "cost": 0.0012,
        "tokens": {"input": 200, "output": 40, "total": 240},
        "usageSource": "reported",
        "toolsCalled": ["calculate"],
        "model": "claude-sonnet-5-5",
        "outcome": "answered",
    }
    assert list(line.fields) == COMPLETED_FIELDS


def test_a_client_that_left_is_completed_too():
    line = ending(answered(ending=Ending(Outcome.CLIENT_GONE)))
    assert (line.type, line.level, line.fields["outcome"]) == (names.COMPLETED, logging.INFO, "client_gone")


@pytest.mark.parametrize(
    "outcome", [Outcome.FAILED, Outcome.TIMED_OUT, Outcome.INTERRUPTED, Outcome.SHUTDOWN]
)
def test_what_went_wrong_is_failed(outcome):
    line = ending(failed(outcome=outcome))
    assert (line.type, line.level) == (names.FAILED, logging.ERROR)
    assert list(line.fields) == [*COMPLETED_FIELDS, "attempts", "category", "code", "error", "stack"]
    assert (line.fields["category"], line.fields["code"]) == ("agent_service", "upstream_error")
    assert (line.fields["error"], line.fields["stack"]) == ("UpstreamFailed: no", "Traceback: no")


@pytest.mark.parametrize("code", [code for code in Code if code not in {*LIMITER, *DENIED}])
def test_a_refusal_is_refused(code):
    line = ending(refused(code))
    assert (line.type, line.level) == (names.REFUSED, logging.WARNING)
    assert list(line.fields) == [*COMPLETED_FIELDS, "category", "code"]
    assert line.fields["code"] == code


@pytest.mark.parametrize("code", LIMITER)
def test_our_own_429_says_which_limit(code):
    line = ending(refused(Code(code)))
    assert (line.type, line.level) == (names.RATE_LIMITED, logging.WARNING)
    assert line.fields == {
        "userId": "user-1",
        "role": "AUDITEE",
        "policy": "role",
        "limit": 20,
        "retryAfter": 1.5,
        "category": "rate_limit",
        "code": code,
    }


@pytest.mark.parametrize("code", DENIED)
def test_a_401_or_403_says_why_and_where(code):
    line = ending(refused(Code(code), opening=an_opening(caller=None, rate_limit=None)))
    assert (line.type, line.level, line.pseudonym) == (names.DENIED, logging.WARNING, None)
    fields = dict(line.fields)
    assert fields.pop("category") in {"authentication", "authorization"}
    assert fields == {"reason": "No.", "route": "POST /api/v1/agent/chat", "userId": None, "code": code}


def test_a_limit_nobody_decided_is_told_as_far_as_it_is_known():
    failure = Failure(code=Code.CONCURRENCY_LIMITED)
    opening = an_opening(caller=None, rate_limit=None)
    line = ending(refused(opening=opening, ending=Ending(Outcome.REFUSED, failure)))
    assert (line.fields["policy"], line.fields["limit"], line.fields["retryAfter"]) == (None, None, 0)


def test_an_upstreams_429_is_a_failure_not_a_limit_of_ours():
    assert ending(failed(Code.UPSTREAM_RATE_LIMITED)).type == names.FAILED


def test_each_error_met_has_a_line_before_the_ending():
    overloaded = Failure(code=Code.UPSTREAM_OVERLOADED, error="529", stack="where")
    call = a_model_call(
        attempts=(Attempt(failure=overloaded), Attempt(failure=overloaded), Attempt(status=200))
    )
    told = list(lines(answered(model_calls=(call,))))
    assert [line.type for line in told] == [names.ERROR, names.ERROR, names.COMPLETED]
    assert [line.level for line in told] == [logging.ERROR, logging.ERROR, logging.INFO]
    assert told[0].fields == {
        "category": "agent_service",
        "code": "upstream_overloaded",
        "error": "529",
        "stack": "where",
        "userId": "user-1",
    }


def test_a_callers_own_error_has_no_stack():
    line = ending(failed(Code.INVALID_REQUEST))
    assert line.fields["stack"] is None


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        (None, None),
        ("", ""),
        ("x" * 100, "x" * 100),
        ("é" * 101, "é" * 100),
        ("\N{ROCKET}" * 200, "\N{ROCKET}" * 100),
    ],
)
def test_a_line_shows_the_first_100_characters_of_the_query(query, shown):
    assert completed(answered(opening=an_opening(query=query)))["query"] == shown


def test_the_query_can_be_left_out_of_every_line():
    for record in (answered(), failed(), refused(Code.CONFLICT)):
        told = closed(record, query=False)
        assert told
        assert all("query" not in fields for _, _, fields in told)
        assert CANARY not in str(told)


def test_sampling_thins_nothing_but_completed_lines():
    assert closed(answered(), sample_rate=0.0) == []
    assert [kind for kind, _, _ in closed(failed(), sample_rate=0.0)] == [names.ERROR, names.FAILED]
    for code, kind in ((Code.RATE_LIMITED, names.RATE_LIMITED), (Code.FORBIDDEN, names.DENIED)):
        assert [each for each, _, _ in closed(refused(code), sample_rate=0.0)] == [kind]
    assert [kind for kind, _, _ in closed(refused(Code.CONFLICT), sample_rate=0.0)] == [names.REFUSED]


def test_an_error_that_was_recovered_from_outlives_the_sampling():
    call = a_model_call(
        attempts=(Attempt(failure=Failure(code=Code.UPSTREAM_OVERLOADED)), Attempt(status=200))
    )
    told = closed(answered(model_calls=(call,)), sample_rate=0.0)
    assert [kind for kind, _, _ in told] == [names.ERROR]


TRACES = st.integers(1, 2**128 - 1).map("{:032x}".format)


@settings(deadline=None)
@given(TRACES)
def test_all_are_kept_at_one_and_none_at_zero(trace_id):
    assert kept(trace_id, 1.0)
    assert not kept(trace_id, 0.0)


@settings(deadline=None)
@given(TRACES, st.floats(0, 1), st.floats(0, 1))
def test_a_higher_rate_keeps_what_a_lower_one_keeps(trace_id, one, two):
    low, high = sorted((one, two))
    assert kept(trace_id, high) or not kept(trace_id, low)


def test_a_rate_keeps_its_share():
    share = sum(kept(f"{number << 40:032x}", 0.25) for number in range(0, 1 << 16, 16))
    assert share == 1024


def test_it_says_nothing_of_an_opening(start_log):
    out = start_log()
    LogSink(Settings()).opened(an_opening(trace_id=TRACE_ID, span_id=SPAN_ID, rate_limit=LIMIT))
    assert out.lines == []


@pytest.mark.parametrize(("unforeseen", "stack"), [(True, "at line 1"), (False, None)])
def test_what_nobody_foresaw_keeps_its_stack_whoever_is_at_fault(unforeseen, stack):
    failure = Failure(code=Code.INVALID_REQUEST, stack="at line 1", unforeseen=unforeseen)
    record = answered(ending=Ending(Outcome.FAILED, failure))
    assert [line.fields["stack"] for line in lines(record) if "stack" in line.fields] == [stack] * 2


@pytest.mark.parametrize("record", [answered, failed], ids=lambda record: record.__name__)
def test_who_was_let_in_without_a_look_is_told_so(record):
    opening = an_opening()
    stale = structs.replace(opening, caller=structs.replace(opening.caller, stale=True))
    assert ending(record(opening=stale)).fields["authStale"] is True
    assert "authStale" not in ending(record(opening=opening)).fields


def test_each_request_is_told_where_one_failed():
    busy = Failure(code=Code.UPSTREAM_OVERLOADED)
    attempts = (
        Attempt(status=529, request_id="r1", waited_seconds=0.25, failure=busy),
        Attempt(status=200, request_id="r2"),
    )
    fields = ending(answered(model_calls=(a_model_call(attempts=attempts),))).fields
    known = {"model": "claude-sonnet-5-5"}
    assert fields["attempts"] == [
        known | {"status": 529, "requestId": "r1", "code": "upstream_overloaded", "waitMs": 250},
        known | {"status": 200, "requestId": "r2", "code": None, "waitMs": 0},
    ]
    assert "attempts" not in ending(answered()).fields


def test_who_was_asked_for_is_told_where_another_answered():
    fields = ending(answered(model_calls=(a_model_call(model="claude-haiku-5-5"),))).fields
    assert (fields["model"], fields["askedModel"]) == ("claude-haiku-5-5", "claude-sonnet-5-5")
    assert "askedModel" not in ending(answered()).fields
