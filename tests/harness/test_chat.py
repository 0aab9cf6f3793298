"""The chat client against a stand-in: answers, streams, and hanging up as the other side sees it."""

import socket
import threading

import httpx
import pytest

from tests.harness.chat import Farewell, Line, ask, hang_up, stream


def test_a_question_carries_its_fields_and_the_services_key(start_service):
    answer = ask(start_service(), "hello", conversationId="c", headers={"X-Request-Id": "mine"})
    assert answer.status_code == 200
    assert answer.json()["body"] == {"message": "hello", "conversationId": "c"}
    assert answer.json()["headers"]["X-Request-Id"] == "mine"


@pytest.mark.parametrize("key", ["", "wrong"])
def test_another_key_or_none_is_sent_as_given(start_service, key):
    service = start_service()
    assert ask(service, "hello", key=key).status_code == 401
    with stream(service, "hello", key=key) as refused:
        assert (refused.response.status_code, refused.problem()) == (401, {"category": "authentication"})


def test_an_authorization_header_of_the_test_wins(start_service):
    assert ask(start_service(), "hello", headers={"Authorization": "Basic x"}).status_code == 401


def test_a_proxy_of_the_machine_is_not_used(start_service, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert ask(start_service(), "hello").status_code == 200


def test_a_stream_tells_its_events_and_comments(start_service):
    with stream(start_service(), "ä") as answer:
        assert answer.response.headers["content-type"] == "text/event-stream"
        assert [(event.id, event.event, event.data) for event in answer.rest()] == [
            ("1", "turn", {"id": "t1"}),
            ("2", "text", {"text": "ä"}),
            ("3", "done", {}),
        ]
        assert answer.comments == ["hello"]
        assert answer.events[0].comments == ("hello",)


def test_an_event_is_told_before_the_stream_has_ended(start_service):
    service = start_service()
    with stream(service, "for ever") as answer:
        assert answer.until("text").id == "2"
        assert answer.until("text").id == "3"
        assert [event.event for event in answer.events] == ["turn", "text", "text"]
    assert service.wait_for_line(type="gone")


def test_a_stream_that_ends_too_early_fails_with_what_it_had(start_service):
    with (
        stream(start_service(), "x") as answer,
        pytest.raises(AssertionError, match=r"without 'error'; it had .*'done'"),
    ):
        answer.until("error")


def test_nobody_there_is_an_error_and_leaves_nothing_open(start_service):
    service = start_service()
    service.stop()
    with pytest.raises(httpx.ConnectError):
        stream(service, "x", key="x")


@pytest.mark.parametrize("how", Farewell)
def test_hanging_up_is_noticed_by_the_service(start_service, how):
    service = start_service()
    left = hang_up(service, "for ever", how)
    assert b"event: text" in left.received
    assert left.header("x-request-id") == "t1"
    assert service.wait_for_line(type="gone")


def test_a_line_that_is_not_left_ends_by_itself(start_service):
    service = start_service()
    with Line(service, "x") as line:
        line.read_until(b"event: done")
    assert service.lines(type="gone") == []


def test_a_marker_that_never_comes_fails_with_what_came(start_service):
    with (
        Line(start_service(), "x", stream=False) as line,
        pytest.raises(AssertionError, match=r"closed before b'event: text' came; received b'HTTP/1\.0 200"),
    ):
        line.read_until(b"event: text")
    assert b'"stream": false' in line.received


class Listener:
    """A service that reads one question and then sees how its client leaves."""

    api_key = "k"

    def __init__(self, answer):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        self.farewell = None
        self.question = b""
        self.thread = threading.Thread(target=self.run, args=(answer,))
        self.thread.start()

    def run(self, answer):
        with self.server, self.server.accept()[0] as client:
            while not self.question.endswith(b"}"):
                self.question += client.recv(65536)
            client.sendall(answer)
            try:
                self.farewell = client.recv(1)
            except ConnectionResetError:
                self.farewell = "reset"


@pytest.mark.parametrize(("how", "seen"), [(Farewell.FIN, b""), (Farewell.RST, "reset")])
@pytest.mark.parametrize("answer", [b"event: text", b"event: text" + b"x" * 200_000])
def test_a_fin_ends_the_line_and_a_rst_breaks_it(how, seen, answer):
    listener = Listener(answer)
    hang_up(listener, "hello", how)
    listener.thread.join()
    assert listener.farewell == seen
    assert listener.question.startswith(b"POST /api/v1/agent/chat HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"Authorization: Bearer k\r\n" in listener.question
    assert listener.question.endswith(b'\r\n\r\n{"message":"hello","stream":true}')
