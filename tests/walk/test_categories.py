"""The categories of error by real causes, each seen as one word in status, body, log, span, metric and row.

Elsewhere: our own 429 in test_limits, `authorization` in test_signin, `unknown` in test_unknown.
"""

import json
import sqlite3
import time
from contextlib import closing, contextmanager
from typing import Any

import pytest
from msgspec import Struct

from tests.conftest import MANY
from tests.harness.chat import ask, stream
from tests.harness.model_api import BEGIN, LOST, SPEAKING, ModelApi
from tests.harness.problems import FIELDS
from tests.harness.service import Service
from tests.harness.telling import told, total
from tests.harness.waiting import wait

TEXTS = {
    "authentication": "Your session has expired. Please refresh the page and log in again.",
    "validation": "Invalid request. Please check your input and try again.",
    "rate_limit": "You're sending requests too quickly. Please wait a moment and try again.",
    "database": "A database error occurred. Please try again in a moment.",
    "agent_service": "AI service error. Please try rephrasing your question or try again later.",
    "network": "Network error. Please check your connection and try again.",
}


class Error(Struct, frozen=True):
    """What the contract says of one error."""

    status: int
    category: str
    code: str
    fault: str
    retryable: bool
    outcome: str = "failed"


UNAUTHENTICATED = Error(401, "authentication", "unauthenticated", "caller", False, "refused")
INVALID = Error(400, "validation", "invalid_request", "caller", False, "refused")
TOO_MANY = Error(429, "rate_limit", "upstream_rate_limited", "provider", True)
DATABASE = Error(500, "database", "database_error", "service", True)
UPSTREAM = Error(500, "agent_service", "upstream_error", "provider", False)
OVERLOADED = Error(500, "agent_service", "upstream_overloaded", "provider", True)
UNREACHABLE = Error(503, "network", "upstream_unreachable", "provider", True)

BY_MESSAGE = {
    "": INVALID,
    "[sim:400]": UPSTREAM,
    "[sim:401]": UPSTREAM,
    "[sim:402]": UPSTREAM,
    "[sim:403]": UPSTREAM,
    "[sim:404]": UPSTREAM,
    "[sim:413]": UPSTREAM,
    "[sim:429]": TOO_MANY,
    "[sim:429-after:300]": TOO_MANY,
    "[sim:500]": UPSTREAM,
    "[sim:503]": UPSTREAM,
    "[sim:529]": OVERLOADED,
}
"""Failures before the first content: a real status, also where a stream was asked for."""

IN_THE_MIDDLE = {
    "[sim:cut]": UNREACHABLE,
    "[sim:truncate]": UPSTREAM,
    "[sim:bad-json]": UPSTREAM,
    "[sim:error-event]": OVERLOADED,
    "[sim:tool][sim:529]": OVERLOADED,
    "[sim:tool][sim:429]": TOO_MANY,
    "[sim:tool][sim:401]": UPSTREAM,
}
"""Failures after it: an `error` event with the same body."""


def check(service: Service, receiver: Any, body: dict[str, Any], expected: Error) -> None:
    """The body, and everything else that was told of the same turn."""
    assert set(body) == set(FIELDS)
    assert body["type"] == f"urn:parley:error:{expected.category}"
    assert body["error"] == TEXTS[expected.category]
    assert body["title"]
    assert body["detail"]
    words = (body["status"], body["category"], body["code"], body["fault"], body["retryable"])
    assert words == (
        expected.status,
        expected.category,
        expected.code,
        expected.fault,
        expected.retryable,
    )
    check_signals(service, receiver, body, expected)


def check_signals(service: Service, receiver: Any, body: dict[str, Any], expected: Error) -> None:
    turn = told(service, receiver, body["requestId"])
    both = (expected.category, expected.code)
    assert turn.row["traceId"] == body["traceId"]
    assert (turn.row["category"], turn.row["code"], turn.row["outcome"]) == (*both, expected.outcome)
    metadata = turn.row["metadata"]
    assert (metadata["category"], metadata["code"], metadata["outcome"]) == (*both, expected.outcome)
    assert (turn.line["category"], turn.line["code"]) == both
    for span in (turn.server, turn.agent):
        attributes = span.attributes
        assert (attributes["parley.error.category"], attributes["parley.error.code"]) == both
        assert attributes["parley.error.fault"] == expected.fault
        assert attributes["parley.turn.outcome"] == expected.outcome
    assert (turn.agent.status, turn.agent.attributes["error.type"]) == ("ERROR", expected.code)
    failed = expected.outcome == "failed"
    assert {(line["category"], line["code"]) for line in turn.errors} == ({both} if failed else set())


def hear_all(receiver: Any) -> None:
    """Wait for what was counted until now."""
    now = time.time_ns()
    receiver.wait(lambda: any(point.time >= now for point in receiver.points("parley.errors")))


@contextmanager
def counted(receiver: Any, expected: Error, turns: int = 1) -> Any:
    """The one series of this error rises by this many turns, and no other."""
    one = {"category": expected.category, "fault": expected.fault}
    hear_all(receiver)
    before, before_all = total(receiver, "parley.errors", **one), total(receiver, "parley.errors")
    yield
    wait(lambda: total(receiver, "parley.errors", **one) == before + turns, seen=receiver.seen)
    assert total(receiver, "parley.errors") == before_all + turns


@contextmanager
def keys_table_away(service: Service) -> Any:
    """Rename the table of the API keys behind the service's back, for a while."""
    with closing(sqlite3.connect(service.cwd / "var" / "parley.db", timeout=30)) as connection:
        connection.execute("ALTER TABLE api_key RENAME TO api_key_away")
        try:
            yield
        finally:
            connection.execute("ALTER TABLE api_key_away RENAME TO api_key")


@pytest.mark.parametrize("message", BY_MESSAGE)
@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
def test_a_failure_before_the_first_content_has_a_status(service, receiver, message, streamed):
    expected = BY_MESSAGE[message]
    with counted(receiver, expected):
        response = ask(service, message, stream=streamed)
        assert response.status_code == expected.status
        assert response.headers["content-type"] == "application/problem+json"
        check(service, receiver, response.json(), expected)


@pytest.mark.parametrize("message", IN_THE_MIDDLE)
def test_a_failure_in_mid_stream_is_the_last_event_with_the_same_body(service, receiver, message):
    expected = IN_THE_MIDDLE[message]
    with counted(receiver, expected), stream(service, f"Hello {message}") as answer:
        events = answer.rest()
        assert answer.response.status_code == 200
        names = [event.event for event in events]
        assert (names[0], names[-1]) == ("turn", "error")
        assert not {"done", "error"} & set(names[:-1])
        assert [event.id for event in events] == [str(number) for number in range(1, len(events) + 1)]
        assert events[-1].data["requestId"] == events[0].data["id"]
        check(service, receiver, events[-1].data, expected)


@pytest.mark.parametrize("message", IN_THE_MIDDLE)
def test_the_same_failure_of_a_json_answer_has_a_status(service, receiver, message):
    expected = IN_THE_MIDDLE[message]
    with counted(receiver, expected):
        response = ask(service, f"Hello {message}")
        assert response.status_code == expected.status
        check(service, receiver, response.json(), expected)


@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
def test_no_key_is_authentication(service, receiver, streamed):
    with counted(receiver, UNAUTHENTICATED):
        response = ask(service, "Hello", key="", stream=streamed)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        check(service, receiver, response.json(), UNAUTHENTICATED)


@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
def test_keys_that_cannot_be_looked_up_are_database(service, receiver, streamed):
    made = service.cli("keys", "create", "--user", "nobody-yet", "--role", "GUEST", "--json")
    assert made.returncode == 0
    unseen = json.loads(made.stdout)["key"]
    with keys_table_away(service), counted(receiver, DATABASE):
        response = ask(service, "Hello", key=unseen, stream=streamed)
        assert response.status_code == 500
        check(service, receiver, response.json(), DATABASE)
        assert "api_key" not in response.text
    assert ask(service, "Hello", key=unseen).status_code == 200


def test_a_model_behind_a_closed_port_is_network(start_service, receiver):
    with ModelApi() as model:
        closed = model.settings
    service = start_service(receiver, **closed, **MANY)
    with counted(receiver, UNREACHABLE, turns=2):
        for streamed in (False, True):
            response = ask(service, "Hello", stream=streamed)
            assert response.status_code == 503
            assert int(response.headers["retry-after"]) >= 1
            check(service, receiver, response.json(), UNREACHABLE)


@pytest.mark.parametrize("events", [(BEGIN, LOST), (*SPEAKING, LOST)], ids=["first", "later"])
@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
def test_a_model_that_breaks_its_own_protocol_is_agent_service(held, receiver, events, streamed):
    held.model.events = events
    try:
        with counted(receiver, UPSTREAM):
            response = ask(held.service, "Hello", stream=streamed)
            assert "KeyError" not in response.text
            body = json.loads(response.text.rpartition("data: ")[2])
            assert response.status_code == (200 if streamed and len(events) > 2 else 500)
            check(held.service, receiver, body, UPSTREAM)
    finally:
        held.model.events = SPEAKING


def test_the_upstreams_retry_after_is_passed_on(service):
    response = ask(service, "[sim:429-after:300]")
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) == 300


def test_each_error_that_was_met_has_one_line(service, receiver):
    response = ask(service, "[sim:500]")
    turn = told(service, receiver, response.headers["x-request-id"])
    attempts = turn.row["metadata"]["modelCalls"][0]["attempts"]
    assert attempts == 3
    assert len(turn.errors) == attempts


def test_an_error_that_a_tool_met_is_told_though_the_turn_is_answered(service, receiver):
    answer = ask(service, "What is 1/0?").json()
    turn = told(service, receiver, answer["id"])
    assert turn.row["outcome"] == "answered"
    assert turn.row["category"] is None
    assert [line["category"] for line in turn.errors] == ["validation"]
    assert turn.line["type"] == "agent_query_completed"


def test_the_service_goes_on_after_every_failure(service):
    assert ask(service, "Hello").status_code == 200
    with stream(service, "Hello") as answer:
        assert answer.rest()[-1].event == "done"
