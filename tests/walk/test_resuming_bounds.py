"""Where a stream cannot be taken up again: in another process, or where too much was said meanwhile.

And what hides that a client left: bytes that it sent after its question.
"""

import json
from itertools import accumulate

import pytest

from service.agent.channel import OVERHEAD
from service.agent.room import EACH
from tests.conftest import MANY
from tests.faults.speaker import PIECE
from tests.harness.chat import Farewell, Line, ask, resume, stream
from tests.harness.model_api import BEGIN, BLOCK, WORDS, ModelApi
from tests.harness.service import Service
from tests.harness.waiting import wait

NOBODY = "redis://127.0.0.1:1"
PATIENT = {"AGENT_STREAM_RESUME_MS": "20000"} | MANY
PIECES = 8
NEXT = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


def test_another_process_does_not_find_it_and_the_right_one_does(tmp_path):
    settings = PATIENT | {"AGENT_RATE_LIMIT_STORE": NOBODY, "AGENT_REPLICAS": "1"}
    with Service(tmp_path, settings, arguments=("--workers", "2")) as service:
        with stream(service, "[sim:slow:40] hello") as first:
            turn_id = first.until("turn").data["id"]
            before = first.until("text")
        statuses = []

        def found_after_a_refusal():
            with resume(service, turn_id, before.id) as again:
                statuses.append(again.response.status_code)
                if statuses[-1] == 404:
                    assert again.problem()["code"] == "not_found"
                    return False
                assert statuses[-1] == 200
                events = again.rest()
            assert [int(each.id) for each in events] == list(range(3, 3 + len(events)))
            assert events[-1].event == "done"
            return 404 in statuses

        wait(found_after_a_refusal, seen=lambda: str(statuses))
        (row,) = service.wait_for_rows(entityId=turn_id)
        assert row["outcome"] == "answered"
        assert service.stop() == 0


def held(size):
    return size + OVERHEAD


def test_what_was_said_beyond_a_mebibyte_is_not_kept(tmp_path):
    with (
        ModelApi((BEGIN, BLOCK, *[PIECE] * PIECES)) as model,
        Service(tmp_path, PATIENT | model.settings) as at,
    ):
        with stream(at, "much") as first:
            turn_id = first.until("turn").data["id"]
            sizes = []  # of what is told: pieces that came together are one
            while sum(sizes) < PIECES * len(PIECE["delta"]["text"]):
                text = first.until("text")
                sizes.append(len(text.data["text"]))
        last, kept = (
            int(text.id),
            len(sizes) - sum(each > EACH for each in accumulate(map(held, sizes[::-1]))),
        )
        for after in (0, 1, last - kept - 1):
            with resume(at, turn_id, after) as again:
                assert (again.response.status_code, again.problem()["code"]) == (404, "not_found")
        with resume(at, turn_id, last - kept) as again:
            told = [int(again.until("text").id) for _ in range(kept)]
        assert told == [*range(last - kept + 1, last + 1)] != []


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "json"])
def test_who_sent_more_and_left_is_seen_to_be_gone_at_the_next_write(tmp_path, streamed):
    hasty = {"AGENT_STREAM_KEEPALIVE_MS": "300", "AGENT_TURN_TIMEOUT_MS": "6000"} | MANY
    with ModelApi((BEGIN, BLOCK, WORDS)) as model, Service(tmp_path, hasty | model.settings) as service:
        wait(lambda: ask(service, "warm").status_code == 504)
        asked = model.asked
        with Line(service, "more", stream=streamed) as line:
            if streamed:
                line.read_until(b"event: text")
            else:
                wait(lambda: model.asked > asked)
            line._socket.sendall(NEXT)
            line.hang_up(Farewell.RST)
        (row,) = wait_for(service, "more")
        # the next write of JSON is its end; the reset may show earlier, where it came with those bytes
        seen = {"client_gone"} if streamed else {"client_gone", "timed_out"}
        assert row["outcome"] in seen, json.dumps(row)
        assert service.stop() == 0
        assert len(service.rows()) == len({row["entityId"] for row in service.rows()})


def wait_for(service, query):
    """The rows of a question, once there are any."""
    return wait(lambda: [row for row in service.rows() if row["metadata"]["query"] == query])
