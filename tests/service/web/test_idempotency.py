"""Idempotency-Key over HTTP: one turn for a key and a body, and the same answer again."""

import asyncio
from uuid import UUID

import pytest
from msgspec.structs import replace

from service.agent.model import ContentBegan, TextPiece
from service.agent.upstream.scripted import Pause, ScriptedModel, begin, say
from service.errors import UpstreamFailed
from service.web import idempotency
from telemetry.record import Decision
from tests.harness.agent import ALLOWED, FakeGate
from tests.harness.problems import problem
from tests.harness.sse import Parser

KEY = {"Idempotency-Key": "order-7"}


def twice():
    return ScriptedModel(say("fir", "st"), say("second"))


async def ask(app, message="hello", key="order-7", **more):
    headers = {"Idempotency-Key": key} | more.pop("headers", {})
    return await app.ask(message, headers=headers, **more)


async def test_the_same_again_is_the_same_answer_and_no_turn(web):
    gate = FakeGate()
    app = await web(twice(), gate=gate)
    first, again = await ask(app), await ask(app)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert again.headers["x-request-id"] == first.headers["x-request-id"] == first.json()["id"]
    assert again.headers["x-trace-id"] != first.headers["x-trace-id"] == first.json()["traceId"]
    assert again.headers["cache-control"] == "no-store"
    assert again.headers["ratelimit"] == '"role";r=1;t=0'
    assert (len(app.records), gate.asked) == (1, 1)


@pytest.mark.parametrize("first_streamed", [True, False])
async def test_a_stream_again_is_a_turn_one_text_and_done(web, first_streamed):
    app = await web(twice())
    accept = {"accept": "text/event-stream"}
    first = await ask(app, headers=accept if first_streamed else {})
    again = await ask(app, headers=accept)
    whole = (await ask(app)).json()
    assert again.headers["content-type"] == "text/event-stream"
    assert (again.headers["idempotency-replayed"], again.headers["x-request-id"]) == ("true", whole["id"])
    turn, text, done = Parser().feed(again.content)
    assert [each.id for each in (turn, text, done)] == ["1", "2", "3"]
    assert (turn.event, text.event, done.event) == ("turn", "text", "done")
    assert turn.data == {name: whole[name] for name in ("id", "conversationId", "model", "traceId")}
    assert text.data == {"text": "first"} == {"text": whole.pop("response")}
    assert done.data == whole
    if first_streamed:
        assert Parser().feed(first.content)[-1].data == whole
    assert len(app.records) == 1


async def test_an_answer_without_text_is_given_again_too(web):
    app = await web(ScriptedModel(say()))
    first, again = await ask(app), await ask(app, headers={"accept": "text/event-stream"})
    assert first.json()["response"] == ""
    assert [each.event for each in Parser().feed(again.content)] == ["turn", "text", "done"]


@pytest.mark.parametrize("body", [{"message": "hello!"}, {"message": "hello", "stream": False}])
async def test_another_body_is_a_refused_turn(web, body):
    gate = FakeGate()
    app = await web(twice(), gate=gate)
    await ask(app)
    response = await app.client.post("/api/v1/agent/chat", json=body, headers=KEY)
    problem(response, 422, "idempotency_mismatch")
    refused = app.records[-1]
    assert (len(app.records), refused.outcome, refused.cost_micros, gate.asked) == (2, "refused", 0, 1)
    assert (await ask(app)).headers["idempotency-replayed"] == "true"


async def test_another_key_and_no_key_are_other_turns(web):
    app = await web(ScriptedModel(*(say(str(number)) for number in range(4))))
    answers = [await ask(app), await ask(app, key="order-8"), await ask(app, key="ORDER-7"), await app.ask()]
    assert len({each.json()["id"] for each in answers}) == len(app.records) == 4


async def test_keys_are_a_users_own(web):
    app = await web(twice())
    await ask(app)
    other = await app.database.idempotency.find("bob", "order-7", 0)
    assert other is None
    assert await app.database.idempotency.find("ann", "order-7", 0) is not None


@pytest.mark.parametrize("key", ["a", " ", "~" * 255, 'two words, "quoted"'])
async def test_any_printable_key_will_do(web, key):
    app = await web(twice())
    # httpx sends what it is given; a server strips blanks around a value, here nobody does
    assert (await ask(app, key=key)).content == (await ask(app, key=key)).content
    assert len(app.records) == 1


@pytest.mark.parametrize("key", [b"", b"~" * 256, b"\xc3\xa9", b"\x7f", b"a\tb", b"\x00"])
async def test_any_other_is_named_among_all_that_is_wrong(web, key):
    app = await web(twice())
    response = await app.client.post(
        "/api/v1/agent/chat", json={"message": "", "x": 1}, headers=[(b"Idempotency-Key", key)]
    )
    body = problem(response, 400, "invalid_request")
    assert {each["field"] for each in body["errors"]} == {"message", "x", "Idempotency-Key"}
    assert len(app.records) == 1


async def test_a_key_sent_twice_is_one(web):
    app = await web(twice())
    both = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    await app.ask(headers=both)
    assert (await ask(app, key="a, b")).headers["idempotency-replayed"] == "true"


FAILURES = [
    ((*begin(), UpstreamFailed("no", status=400)), 500),
    ((*begin(), ContentBegan(), TextPiece("x"), UpstreamFailed("no", status=400)), 500),
]


@pytest.mark.parametrize(("steps", "status"), FAILURES)
async def test_a_failed_turn_frees_its_key(web, steps, status):
    app = await web(ScriptedModel(steps, say("better")))
    first, second = await ask(app), await ask(app)
    assert (first.status_code, second.status_code, second.json()["response"]) == (status, 200, "better")


async def test_a_refused_turn_frees_its_key(web):
    gate = FakeGate(ALLOWED)
    app = await web(twice(), gate=gate)
    gate.decision = replace(ALLOWED, decision=Decision.DENIED)
    assert (await ask(app)).status_code == 429
    assert (await ask(app, "another body")).status_code == 429
    gate.decision = ALLOWED
    assert (await ask(app)).status_code == 200


async def test_a_given_answer_needs_a_credential(web):
    app = await web(twice())
    await ask(app)
    problem(await ask(app, headers={"authorization": "Bearer nobody"}), 401, "unauthenticated")
    assert (len(app.records), app.records[-1].outcome) == (2, "refused")


async def test_while_it_runs_the_key_is_taken(web):
    go_on, begun = asyncio.Event(), asyncio.Event()

    async def hold():
        begun.set()
        await go_on.wait()

    app = await web(ScriptedModel((*begin(), Pause(hold), *say("late"))))
    first = asyncio.create_task(ask(app))
    await begun.wait()
    response = await ask(app)
    problem(response, 409, "conflict")
    assert response.headers["retry-after"] == "1"
    problem(await ask(app, "another body"), 422, "idempotency_mismatch")
    go_on.set()
    assert (await first).json()["response"] == "late"
    assert (await ask(app)).content == (await first).content


async def test_of_25_at_once_one_runs(web):
    go_on = asyncio.Event()
    app = await web(ScriptedModel((*begin(), Pause(go_on.wait), *say("once"))))
    asked = [asyncio.create_task(ask(app)) for _ in range(25)]
    refused = await first_answers(asked, 24)
    go_on.set()
    answers = [await each for each in asked]
    assert [each.status_code for each in refused] == [409] * 24
    assert sorted(each.status_code for each in answers) == [200] + [409] * 24
    assert sorted(record.outcome for record in app.records) == ["answered"] + ["refused"] * 24
    assert (await ask(app)).headers["idempotency-replayed"] == "true"


async def first_answers(asked, count):
    answers = []
    for each in asyncio.as_completed(asked):
        answers.append(await each)
        if len(answers) == count:
            return answers
    raise AssertionError


async def test_an_answer_is_kept_for_a_day_and_a_claim_for_its_turns_deadline(web, monkeypatch):
    now = [1_764_000_000_000_000]
    monkeypatch.setattr(idempotency, "microseconds", lambda: now[0])
    app = await web(ScriptedModel(say("a"), say("b"), say("c")))
    first = await ask(app)
    now[0] += 24 * 3_600_000_000 - 1
    assert (await ask(app)).json() == first.json()
    now[0] += 1
    assert (await ask(app)).json()["response"] == "b"
    # a process that was killed has left its claim
    sent = idempotency.sent(["left"], b"body")
    keys = idempotency.Keys(app.database.idempotency, 120_000)
    killed = idempotency.KeyClaim(keys, app.records[0].opening.caller, sent, "killed")
    await killed.take()
    now[0] += 129_999_999
    problem(await ask(app, key="left"), 422, "idempotency_mismatch")
    now[0] += 1
    assert (await ask(app, key="left")).json()["response"] == "c"


async def test_a_database_that_is_away_is_told_to_those_who_sent_a_key(web, monkeypatch):
    app = await web(twice())
    keys = app.database.keys
    caller = await keys.find(app.key.split("_")[1])

    async def find(_):
        return caller

    monkeypatch.setattr(type(keys), "find", lambda _, key_id: find(key_id))
    await app.database.close()
    problem(await ask(app), 500, "database_error")
    assert (await app.ask()).status_code == 200
    assert [record.outcome for record in app.records] == ["failed", "answered"]


async def test_the_answer_given_again_is_of_the_conversation(web):
    app = await web(ScriptedModel(say("a"), say("b")))
    first, again = (await ask(app)).json(), (await ask(app)).json()
    assert UUID(first["conversationId"]) == UUID(again["conversationId"])
    shown = await app.client.get(f"/api/v1/conversations/{first['conversationId']}")
    assert [each["turnId"] for each in shown.json()["messages"]] == [first["id"]] * 2
