"""Streams taken up again over the real service: by whom, from where, how long, and what is never told."""

import json
import threading

import pytest

from tests.conftest import MANY
from tests.harness.chat import Farewell, ask, hang_up, resume, stream
from tests.harness.problems import problem
from tests.harness.service import Service
from tests.harness.sse import Parser
from tests.harness.telling import told
from tests.harness.waiting import wait

LONG = "Tell me more [sim:slow:60]"
"""Ten pieces or so, each 60 ms after the one before."""


@pytest.fixture(scope="module")
def patient(receiver, tmp_path_factory):
    """A service that waits five seconds for a client that lost its stream."""
    settings = receiver.settings() | {"OTEL_BSP_SCHEDULE_DELAY": "100"} | MANY
    with Service(
        tmp_path_factory.mktemp("patient"), settings | {"AGENT_STREAM_RESUME_MS": "5000"}
    ) as service:
        assert ask(service, "Hello").status_code == 200
        yield service


@pytest.fixture(scope="module")
def stranger(patient):
    """The key of somebody else."""
    made = patient.cli("keys", "create", "--user", "bob", "--role", "AUDIT_HEAD", "--json")
    return json.loads(made.stdout)["key"]


def lost(service, message=LONG):
    """A turn whose client left after its first text: its id, and the events that were heard."""
    line = hang_up(service, message, Farewell.RST)
    _, _, body = line.received.partition(b"\r\n\r\n")
    lines = [each for each in body.split(b"\r\n") if each.startswith((b"id:", b":"))]
    events = Parser().feed(b"".join(lines))
    assert events
    return line.header("x-request-id"), events


def shown(events):
    return [(each.id, each.event, each.text) for each in events]


def test_nothing_is_lost_and_nothing_comes_twice(patient, receiver):
    turn_id, before = lost(patient)
    with resume(patient, turn_id, before[-1].id) as again:
        assert again.response.headers["content-type"] == "text/event-stream"
        assert "ratelimit" not in again.response.headers
        after = list(again.rest())
    with resume(patient, turn_id) as whole:
        everything = whole.rest()
    assert shown(everything) == shown([*before, *after])
    assert [int(each.id) for each in everything] == list(range(1, len(everything) + 1))
    assert [each.event for each in everything] == ["turn", *["text"] * (len(everything) - 2), "done"]
    turn = told(patient, receiver, turn_id)
    assert (turn.row["outcome"], turn.server.attributes["parley.turn.outcome"]) == ("answered", "answered")
    resumed = [span for span in receiver.spans() if span.name.startswith("GET") and span.kind == "SERVER"]
    assert turn_id in [span.attributes.get("parley.turn.id") for span in resumed]
    assert len([row for row in patient.rows() if row["entityId"] == turn_id]) == 1


def test_several_hear_the_same_while_it_goes_on(patient):
    heard = {}
    with stream(patient, LONG) as first:
        turn_id = first.until("turn").data["id"]

        def listen(number):
            with resume(patient, turn_id) as again:
                heard[number] = shown(again.rest())

        others = [threading.Thread(target=listen, args=(number,)) for number in range(4)]
        for each in others:
            each.start()
        own = shown(first.rest())
        for each in others:
            each.join()
    assert list(heard.values()) == [own] * 4
    assert own[-1][1] == "done"


def test_whoever_heard_all_need_not_come_again(patient):
    with stream(patient, "Hello") as first:
        last = first.rest()[-1]
    turn_id = first.response.headers["x-request-id"]
    with resume(patient, turn_id, int(last.id) - 1) as again:
        assert shown(again.rest()) == shown([last])
    with resume(patient, turn_id, last.id) as never:
        assert never.response.status_code == 204


def test_nobody_else_learns_that_it_is_there(patient, stranger):
    turn_id, _ = lost(patient)
    nowhere = "01a21cb2-8832-766f-817c-243af220089e"
    with resume(patient, turn_id, key=stranger) as theirs, resume(patient, nowhere, key=stranger) as none:
        refusals = [each.problem() for each in (theirs, none)]
    assert [(each["status"], each["code"]) for each in refusals] == [(404, "not_found")] * 2
    assert refusals[0]["detail"] == refusals[1]["detail"]
    with resume(patient, turn_id, key="") as nobody:
        assert (nobody.response.status_code, nobody.problem()["code"]) == (401, "unauthenticated")
    elsewhere = {"Cookie": "session=x", "Sec-Fetch-Site": "cross-site"}
    with resume(patient, turn_id, key="", headers=elsewhere) as other:
        assert (other.response.status_code, other.problem()["code"]) == (403, "cross_site")


@pytest.mark.parametrize("after", ["x", "-1", "1.0", "9999", "1" * 10])
def test_an_id_that_no_event_has_is_named(patient, after):
    with stream(patient, "Hello") as first:
        first.rest()
    with resume(patient, first.response.headers["x-request-id"], after) as again:
        refused = again.problem()
    assert (refused["status"], refused["code"]) == (400, "invalid_request")
    assert [each["field"] for each in refused["errors"]] == ["Last-Event-ID"]


def test_an_answer_that_is_no_stream_is_not_taken_up(patient):
    with resume(patient, ask(patient, "Hello").json()["id"]) as again:
        assert again.response.status_code == 404


def test_a_failure_is_heard_by_whoever_comes_later(patient):
    turn_id, before = lost(patient, "Hello [sim:slow:60][sim:error-event]")
    with resume(patient, turn_id, before[-1].id) as again:
        last = again.rest()[-1]
    with resume(patient, turn_id, before[-1].id) as later:
        assert shown(later.rest())[-1] == shown([last])[0]
    assert (last.event, last.data["requestId"], last.data["category"]) == ("error", turn_id, "agent_service")


def test_a_key_holds_while_a_lost_stream_goes_on_and_gives_its_answer_then(patient):
    headers = {"Idempotency-Key": "lost"}
    with stream(patient, LONG, headers=headers) as first:
        first.until("text")
    turn_id = first.response.headers["x-request-id"]
    busy = ask(patient, LONG, headers=headers, stream=True)
    assert (busy.status_code, busy.json()["code"], busy.headers["retry-after"]) == (409, "conflict", "1")
    answers = []

    def given_again():
        answers[:] = [ask(patient, LONG, headers=headers, stream=True)]
        return answers[0].status_code == 200

    wait(given_again, seen=lambda: str(answers))
    assert (answers[0].headers["idempotency-replayed"], answers[0].headers["x-request-id"]) == (
        "true",
        turn_id,
    )
    assert [each.event for each in Parser().feed(answers[0].content)] == ["turn", "text", "done"]


def test_a_client_that_does_not_come_again_is_gone_and_so_is_the_stream(start_service):
    service = start_service(AGENT_STREAM_RESUME_MS="200")
    turn_id, before = lost(service, "Tell me more [sim:slow:400]")
    (row,) = service.wait_for_rows(entityId=turn_id)
    assert row["outcome"] == "client_gone"
    with resume(service, turn_id, before[-1].id) as again:
        problem(_whole(again), 404, "not_found")
    assert service.stop() == 0


def test_unless_it_is_set_a_stream_ends_with_its_client(service):
    turn_id, before = lost(service)
    (row,) = service.wait_for_rows(entityId=turn_id)
    assert row["outcome"] == "client_gone"
    with resume(service, turn_id, before[-1].id) as again:
        problem(_whole(again), 404, "not_found")


def test_at_a_stop_a_lost_stream_is_ended_and_recorded(start_service):
    service = start_service(AGENT_STREAM_RESUME_MS="60000", AGENT_SHUTDOWN_GRACE_MS="300")
    turn_id, _ = lost(service, "Tell me more [sim:slow:2000]")
    assert service.stop() == 0
    assert [(row["entityId"], row["outcome"]) for row in service.rows()] == [(turn_id, "shutdown")]


def _whole(answer):
    answer.response.read()
    return answer.response
