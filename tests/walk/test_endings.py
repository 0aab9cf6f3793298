"""How a turn ends when nobody planned it: the client leaves, time is up, the process stops."""

import sqlite3
import threading
from contextlib import closing
from signal import SIGINT, SIGTERM

import pytest

from tests.conftest import MANY
from tests.harness.chat import Farewell, Line, ask, hang_up, stream
from tests.harness.model_api import SILENT, SPEAKING
from tests.harness.service import Service
from tests.harness.telling import row_asking, told
from tests.harness.waiting import wait

TOO_LATE = {"AGENT_TURN_TIMEOUT_MS": "3000"}
NO_GRACE = {"AGENT_SHUTDOWN_GRACE_MS": "300"}

WAYS = [Farewell.FIN, Farewell.RST]


def gone(service: Service, receiver, query: str) -> None:
    """The turn ended once, as `client_gone`, by everybody's word."""
    row = row_asking(service, query)
    turn = told(service, receiver, row["entityId"])
    assert (row["outcome"], row["category"], row["code"], row["action"]) == (
        "client_gone",
        None,
        None,
        "QUERY",
    )
    assert (turn.line["type"], turn.line["level"], turn.line["outcome"]) == (
        "agent_query_completed",
        "INFO",
        "client_gone",
    )
    assert turn.errors == []
    assert turn.agent.attributes["parley.turn.outcome"] == "client_gone"
    assert turn.server.attributes["parley.turn.outcome"] == "client_gone"
    assert turn.agent.status == "UNSET"
    assert "error.type" not in turn.agent.attributes
    assert len([span for span in receiver.spans(row["traceId"]) if span.kind == "SERVER"]) == 1


def active(service: Service, receiver) -> float:
    """Turns under way by the metric; other services that export here were killed in the middle of theirs."""
    last = ask(service, "Hello").json()["traceId"]
    resource = receiver.wait_for_trace(last)[0].resource
    points = receiver.points("parley.turns.active")
    return sum(point.value for point in points if point.resource == resource)


@pytest.mark.parametrize("how", WAYS)
def test_a_client_that_leaves_in_mid_stream(service, receiver, how):
    query = f"Leaving in mid stream by {how.value} [sim:slow:100]"
    hang_up(service, query, how)
    gone(service, receiver, query)


@pytest.mark.parametrize("how", WAYS)
def test_a_client_that_leaves_between_two_tools(service, receiver, how):
    query = f"Leaving by {how.value} between tools [sim:tools3][sim:slow:200]"
    hang_up(service, query, how, after=b"event: tool")
    gone(service, receiver, query)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "json"])
def test_a_client_that_leaves_before_anything_came(held, receiver, how, streamed):
    query = f"Leaving before the first event by {how.value}, stream {streamed}"
    held.model.events = SILENT
    asked, left = held.model.asked, held.model.left
    try:
        with Line(held.service, query, stream=streamed) as line:
            wait(lambda: held.model.asked > asked)
            line.hang_up(how)
        gone(held.service, receiver, query)
        held.model.wait_until_left(left + 1)
        assert line.received == b""
    finally:
        held.model.events = SPEAKING


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "json"])
def test_the_model_is_not_asked_on_for_a_client_that_left(held, receiver, how, streamed):
    query = f"Leaving the model by {how.value}, stream {streamed}"
    asked, left = held.model.asked, held.model.left
    with Line(held.service, query, stream=streamed) as line:
        if streamed:
            line.read_until(b"event: text")
        else:
            wait(lambda: held.model.asked > asked)
        line.hang_up(how)
    held.model.wait_until_left(left + 1)
    gone(held.service, receiver, query)
    assert held.model.asked == asked + 1


def test_many_that_leave_at_once_leave_one_row_each_and_no_turn(service, receiver):
    queries = [f"One of many that leave, number {number} [sim:slow:50]" for number in range(12)]
    leavers = [
        threading.Thread(target=hang_up, args=(service, query, WAYS[number % 2]))
        for number, query in enumerate(queries)
    ]
    for leaver in leavers:
        leaver.start()
    for leaver in leavers:
        leaver.join()
    for query in queries:
        gone(service, receiver, query)
    receiver.wait(lambda: active(service, receiver) == 0)


def test_silence_is_filled_with_comments(held):
    with stream(held.service, "Once upon a time") as answer:
        answer.until("text")
        first = next(answer._pieces)
    assert first.startswith(b":")
    assert first.endswith(b"\n\n")


@pytest.fixture(scope="module")
def hurried(receiver, tmp_path_factory):
    """A service whose turns may take three seconds, and whose model's library is loaded."""
    settings = receiver.settings() | {"OTEL_BSP_SCHEDULE_DELAY": "100"} | MANY | TOO_LATE
    with Service(tmp_path_factory.mktemp("hurried"), settings) as service:
        wait(lambda: ask(service, "Hello").status_code == 200)  # the first may wait for libraries for longer
        yield service


def timed_out(service: Service, receiver, problem) -> None:
    words = (problem["status"], problem["category"], problem["code"], problem["fault"], problem["retryable"])
    assert words == (504, "agent_service", "turn_timeout", "service", True)
    turn = told(service, receiver, problem["requestId"])
    assert (turn.row["outcome"], turn.row["code"]) == ("timed_out", "turn_timeout")
    assert (turn.line["type"], turn.line["outcome"]) == ("agent_query_failed", "timed_out")
    assert turn.agent.attributes["parley.turn.outcome"] == "timed_out"
    assert turn.agent.attributes["error.type"] == "turn_timeout"
    assert [line["code"] for line in turn.errors] == ["turn_timeout"]


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "json"])
def test_a_turn_without_content_in_time_is_504(hurried, receiver, streamed):
    response = ask(hurried, "[sim:stall]", stream=streamed)
    assert response.status_code == 504
    timed_out(hurried, receiver, response.json())


def test_a_stream_that_is_not_done_in_time_ends_with_an_error(hurried, receiver):
    with stream(hurried, "Hello [sim:slow:600]") as answer:
        events = answer.rest()
    names = [event.event for event in events]
    assert (answer.response.status_code, names[0], names[-1]) == (200, "turn", "error")
    assert names.count("text") >= 1
    assert "done" not in names
    timed_out(hurried, receiver, events[-1].data)


def test_a_json_answer_that_is_not_done_in_time_is_504(hurried, receiver):
    timed_out(hurried, receiver, ask(hurried, "Hello [sim:slow:600]").json())


@pytest.mark.parametrize("number", [SIGTERM, SIGINT])
def test_at_a_stop_open_streams_are_told_and_the_process_ends_well(start_service, receiver, number):
    service = start_service(receiver, **NO_GRACE)
    rest = []
    whole = threading.Thread(target=lambda: rest.append(ask(service, "Whole [sim:slow:500]")))
    with stream(service, "One [sim:slow:500]") as one, stream(service, "Two [sim:slow:500]") as two:
        whole.start()
        one.until("text")
        two.until("text")
        code = ended(service, number, one, two)
    whole.join()
    assert code == 0
    problems = [one.events[-1].data, two.events[-1].data, rest[0].json()]
    assert {problem["code"] for problem in problems} == {"shutting_down"}
    assert {problem["category"] for problem in problems} == {"network"}
    assert rest[0].status_code == 503
    assert int(rest[0].headers["retry-after"]) >= 1
    assert [row["outcome"] for row in service.rows()] == ["shutdown"] * 3
    failed = service.lines(type="agent_query_failed")
    assert [line["outcome"] for line in failed] == ["shutdown"] * 3
    for problem in problems:
        assert told(service, receiver, problem["requestId"]).row["code"] == "shutting_down"
    assert service.lines()[-1]["type"] == "service_stopped"


def ended(service: Service, number: int, *answers) -> int:
    """Send the signal, let each answer be read to its end, and return the exit code."""
    readers = [threading.Thread(target=answer.rest) for answer in answers]
    for reader in readers:
        reader.start()
    code = service.stop(number)
    for reader in readers:
        reader.join()
    assert {answer.events[-1].event for answer in answers} <= {"error", "done"}
    return code


def test_at_a_stop_what_can_be_done_in_time_is_done(start_service):
    service = start_service()
    with stream(service, "Nearly done [sim:slow:30]") as answer:
        answer.until("text")
        assert ended(service, SIGTERM, answer) == 0
    assert answer.events[-1].event == "done"
    assert [row["outcome"] for row in service.rows()] == ["answered"]


def test_a_client_that_leaves_during_the_stop_is_client_gone(start_service):
    service = start_service()
    line = hang_up(service, "Leaving at the stop [sim:slow:200]", Farewell.RST)
    assert line.received
    assert service.stop() == 0
    assert [row["outcome"] for row in service.rows()] == ["client_gone"]


def test_a_locked_database_delays_rows_and_no_answer(service):
    with closing(sqlite3.connect(service.cwd / "var" / "parley.db", timeout=30)) as other:
        other.execute("BEGIN IMMEDIATE")
        before = {row["entityId"] for row in service.rows()}
        answers = [ask(service, "Hello").json() for _ in range(5)]
        with stream(service, "Hello") as answer:
            answers.append(answer.rest()[-1].data)
        assert {row["entityId"] for row in service.rows()} == before
        other.execute("ROLLBACK")
    for answer in answers:
        (row,) = service.wait_for_rows(entityId=answer["id"])
        assert row["outcome"] == "answered"


def test_with_the_audit_off_there_are_answers_and_no_rows(bare):
    assert ask(bare, "Hello").status_code == 200
    assert ask(bare, "").status_code == 400
    assert bare.rows() == []
