"""The application on a real socket: what only a server and a network show."""

import httpx
import pytest

from tests.harness.chat import Farewell, Line, ask, hang_up, stream
from tests.harness.problems import problem
from tests.harness.waiting import wait

CHAT = "/api/v1/agent/chat"


@pytest.mark.parametrize("how", list(Farewell))
def test_a_client_that_hangs_up_leaves_one_row(service, how):
    line = hang_up(service, "[sim:slow:200] hello", how)
    (row,) = service.wait_for_rows(entityId=line.header("x-request-id"))
    assert row["metadata"]["outcome"] == "client_gone"


def test_a_client_that_hangs_up_before_the_answer_leaves_one_row(service):
    def gone():
        return [row for row in service.rows() if row["metadata"]["outcome"] == "client_gone"]

    before = len(gone())
    with Line(service, "[sim:stall]", stream=False) as line:
        line.hang_up(Farewell.FIN)
    wait(lambda: len(gone()) > before, seen=service.said)
    assert len(gone()) == before + 1


def test_a_body_in_chunks_beyond_the_bound(service):
    headers = {"authorization": f"Bearer {service.api_key}", "content-type": "application/json"}
    with httpx.Client(base_url=service.url, trust_env=False) as client:
        pieces = (b" " * 65536 for _ in range(17))
        problem(client.post(CHAT, content=pieces, headers=headers), 413, "too_large")


def test_a_stream_over_a_socket_ends_in_done(service):
    with stream(service, "What is 12*7?") as answer:
        names = [event.event for event in answer.rest()]
    assert (names[0], names[-1]) == ("turn", "done")
    assert names.count("done") == 1
    assert "tool" in names


def test_with_the_sdk_off_there_are_ids_all_the_same(start_service):
    service = start_service(OTEL_SDK_DISABLED="true")
    one, two = ask(service, "hello"), ask(service, "hello")
    traces = [answer.headers["x-trace-id"] for answer in (one, two)]
    assert all(len(trace) == 32 and trace.strip("0") for trace in traces)
    assert traces[0] != traces[1]
    assert one.json()["traceId"] == traces[0]
    given = "0af7651916cd43dd8448eb211c80319c"
    answer = ask(service, "hello", headers={"traceparent": f"00-{given}-b7ad6b7169203331-01"})
    assert answer.headers["x-trace-id"] == answer.json()["traceId"] == given
    (row,) = service.wait_for_rows(entityId=answer.json()["id"])
    assert row["metadata"]["traceId"] == given


def test_nobodys_request_over_a_socket(service):
    body = problem(ask(service, "hello", key="nope"), 401, "unauthenticated")
    assert "nope" not in str(body)
