"""Idempotency-Key over the real service: one turn, one row, one cost, also over restarts and processes."""

import asyncio
from collections import Counter
from uuid import UUID

import httpx
import pytest

from tests.conftest import MANY
from tests.harness.chat import ROUTE, ask, stream
from tests.harness.sql import ask as sql
from tests.harness.sse import Parser
from tests.harness.telling import total
from tests.harness.waiting import PATIENCE, wait


def keyed(service, message="Hello", name="order-7", headers=None, **more):
    return ask(service, message, headers={"Idempotency-Key": name, **(headers or {})}, **more)


def test_a_replay_is_told_nobody_and_costs_nothing(receiver, start_service):
    service = start_service(receiver, **MANY)
    first, again = keyed(service), keyed(service)
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["x-request-id"] == first.headers["x-request-id"]
    last = ask(service, "the last")
    service.wait_for_rows(entityId=last.json()["id"])
    assert [row["entityId"] for row in service.rows()] == [first.json()["id"], last.json()["id"]]
    assert len(service.lines(type="agent_query_completed")) == 2
    remaining = [int(each.headers["ratelimit"].split("r=")[1].split(";")[0]) for each in (first, again, last)]
    assert remaining[1:] == [remaining[0], remaining[0] - 1]


def test_a_replay_is_a_span_that_says_so(service, receiver):
    first, again = keyed(service, name="span"), keyed(service, name="span")
    (span,) = receiver.wait_for_trace(again.headers["x-trace-id"])
    assert (span.kind, span.name) == ("SERVER", f"POST {ROUTE}")
    assert span.attributes["parley.idempotency.replayed"] is True
    assert span.attributes["parley.turn.id"] == first.json()["id"]
    assert total(receiver, "parley.turns") >= 1


def test_another_body_is_a_refused_turn_with_a_row(service):
    keyed(service, name="mismatch")
    refused = keyed(service, "Hello!", name="mismatch")
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_mismatch")
    (row,) = service.wait_for_rows(entityId=refused.json()["requestId"])
    assert (row["outcome"], row["category"], row["cost"]) == ("refused", "validation", 0)
    assert service.wait_for_line(type="agent_query_refused", requestId=refused.json()["requestId"])


def sharing(database_url):
    """What makes processes share keys, callers and answers."""
    return {"DATABASE_URL": database_url, "AGENT_SECRET_KEY": "r" * 43} | MANY


def test_25_at_once_in_two_processes_are_one_turn(start_service, database_url):
    shared = sharing(database_url)
    one, two = start_service(**shared), start_service(**shared)
    headers = {"Authorization": f"Bearer {one.api_key}", "Idempotency-Key": "many"}

    async def all_at_once():
        body = {"message": "once [sim:slow:20]"}
        async with httpx.AsyncClient(headers=headers, timeout=60, trust_env=False) as client:
            urls = [(one, two)[number % 2].url + ROUTE for number in range(25)]
            return await asyncio.gather(*(client.post(url, json=body) for url in urls))

    answers = asyncio.run(all_at_once())
    assert set(Counter(each.status_code for each in answers)) <= {200, 409}
    assert len({each.json()["id"] for each in answers if each.status_code == 200}) == 1
    assert all(int(each.headers["retry-after"]) >= 1 for each in answers if each.status_code == 409)
    lines = [line for service in (one, two) for line in service.lines(type="agent_query_completed")]
    assert len(lines) == 1
    listed = httpx.get(f"{two.url}/api/v1/conversations", headers=headers, trust_env=False).json()
    assert len(listed["conversations"]) == 1


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_an_answer_is_given_again_after_a_restart_and_by_another_process(start_service, database_url, how):
    shared = sharing(database_url)
    service, other = start_service(**shared), start_service(**shared)
    first = keyed(service)
    wait(lambda: keyed(service).status_code == 200)  # the answer is kept a moment after it is given
    service.kill() if how == "killed" else service.stop()
    elsewhere = keyed(other, key=service.api_key)
    service.start()
    streamed = keyed(service, headers={"Accept": "text/event-stream"})
    assert [each.event for each in Parser().feed(streamed.content)] == ["turn", "text", "done"]
    for again in (elsewhere, keyed(service), streamed):
        assert again.headers["idempotency-replayed"] == "true"
        assert again.headers["x-request-id"] == first.json()["id"]
    assert elsewhere.content == first.content
    assert len(service.wait_for_rows()) == 1


def test_the_claim_of_a_killed_process_stands_until_its_lease_ends(start_service, database_url):
    shared = sharing(database_url)
    service, other = start_service(**shared), start_service(**shared)
    headers = {"Idempotency-Key": "killed"}
    with stream(service, "one [sim:slow:300]", headers=headers) as first:
        first.until("text")
        service.kill()
    service.start()
    asked = {"headers": headers, "key": service.api_key, "message": "one [sim:slow:300]", "stream": True}
    for each in (service, other):
        busy = ask(each, **asked)
        assert (busy.status_code, busy.json()["code"], busy.headers["retry-after"]) == (409, "conflict", "1")
    (claim,) = sql(database_url, "SELECT expires_at, turn_id FROM idempotency_claim")
    began = UUID(claim["turn_id"]).int >> 80  # a UUIDv7 begins with its milliseconds
    assert 130_000 <= claim["expires_at"] // 1000 - began < 131_000 + PATIENCE * 1000  # 120 s and 10 s
    sql(database_url, "UPDATE idempotency_claim SET expires_at = expires_at - 130000000")
    assert ask(other, **asked).status_code == 200
    assert ask(service, **asked).headers["idempotency-replayed"] == "true"


def test_a_client_that_left_may_ask_again(service):
    headers = {"Idempotency-Key": "left"}
    with stream(service, "one [sim:slow:50]", headers=headers) as first:
        first.until("text")
    answers = []

    def answered():
        answers.append(ask(service, "one [sim:slow:50]", headers=headers, stream=True))
        return answers[-1].status_code == 200

    wait(answered, seen=lambda: str([each.status_code for each in answers]))
    assert {each.status_code for each in answers[:-1]} <= {409}
    assert "idempotency-replayed" not in answers[-1].headers
