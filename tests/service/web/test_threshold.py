"""Who is turned away before anything of a request is read, and that it is recorded all the same."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from service.agent.places import Places
from service.agent.upstream.scripted import Pause, ScriptedModel, begin, say
from service.auth.credentials import Credentials
from service.web.acquaintances import STRANGER, Acquaintances, whom_of
from service.web.identity import Identity
from service.web.threshold import CROWDED, Threshold
from telemetry.failure import Code
from telemetry.record import Outcome
from tests.harness.agent import CALLER
from tests.harness.problems import problem
from tests.service.web.conftest import ROUTE


def slow(go_on):
    return ScriptedModel(*((*begin(), Pause(go_on.wait), *say("late")) for _ in range(3)))


async def until(true):
    while not true():  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.001)


@asynccontextmanager
async def crowded(app, go_on, places=1):
    """One place is taken, and one waits for it."""
    app.turns.turns.places = there = Places(places, patience=30)
    first = asyncio.create_task(app.ask("first"))
    await until(lambda: there.taken == 1)
    second = asyncio.create_task(app.ask("second"))
    await until(lambda: there.waiting == 1)
    try:
        yield there
    finally:
        go_on.set()
        assert [answer.status_code for answer in await asyncio.gather(first, second)] == [200, 200]


async def test_one_too_many_is_turned_away_at_once_and_recorded(web):
    go_on = asyncio.Event()
    app = await web(slow(go_on))
    async with crowded(app, go_on):
        response = await app.ask("third", headers={"x-request-id": "mine"})
        told = problem(response, 503, "overloaded")
        assert 1 <= int(response.headers["retry-after"]) <= 3
        (record,) = app.records
    assert record.opening.turn_id == told["requestId"] == response.headers["x-request-id"]
    assert (record.outcome, record.failure.code) == (Outcome.REFUSED, Code.OVERLOADED)
    assert (record.opening.client_request_id, record.opening.caller) == ("mine", None)
    assert record.opening.route == f"POST {ROUTE}"
    assert [each.outcome for each in app.records[1:]] == [Outcome.ANSWERED] * 2


async def test_nothing_of_its_body_is_read(web):
    go_on = asyncio.Event()
    app = await web(slow(go_on))

    async def body():
        yield b"{"
        raise AssertionError("read on")

    async with crowded(app, go_on):
        problem(await app.send(body()), 503, "overloaded")


async def test_other_routes_are_open_while_there_is_no_place(web):
    go_on = asyncio.Event()
    app = await web(slow(go_on))
    async with crowded(app, go_on):
        assert (await app.client.get("/health/ready")).status_code == 200
        assert (await app.client.get("/api/v1/limits")).status_code == 200
        assert (await app.client.get(ROUTE)).status_code == 405


async def test_somebody_else_waits_where_a_known_caller_floods(web):
    go_on = asyncio.Event()
    app = await web(ScriptedModel(say("hi"), *((*begin(), Pause(go_on.wait), *say("late")),) * 3))
    assert (await app.ask("known from here on")).status_code == 200
    app.turns.turns.places = there = Places(2, patience=30)
    flood = [asyncio.create_task(app.ask(f"flood {number}")) for number in range(4)]
    await until(lambda: there.waiting == 2)
    problem(await app.ask("one more"), 503, "overloaded")
    stranger = asyncio.create_task(app.ask("who?", headers={"authorization": "Bearer nobody"}))
    await until(lambda: any(each.done() for each in flood))
    (turned_out,) = [each for each in flood if each.done()]
    problem(turned_out.result(), 503, "overloaded")
    go_on.set()
    answers = [answer.status_code for answer in await asyncio.gather(*flood, stranger)]
    assert sorted(answers) == [200, 200, 200, 401, 503]
    assert (there.taken, there.waiting) == (0, 0)
    outcomes = sorted((each.outcome.value, each.failure and each.failure.code) for each in app.records)
    assert len(outcomes) == 7
    assert sum(code == Code.OVERLOADED for _, code in outcomes) == 2


async def test_one_who_waits_in_vain_is_turned_away(web):
    go_on = asyncio.Event()
    app = await web(slow(go_on))
    app.turns.turns.places = Places(1, patience=0.01)
    first = asyncio.create_task(app.ask("first"))
    await until(lambda: app.turns.turns.places.taken == 1)
    problem(await app.ask("second"), 503, "overloaded")
    go_on.set()
    assert (await first).status_code == 200


IDENTITY = Identity(request_id="r" * 36, trace_id="0" * 32)


def scope(path=ROUTE, method="POST", **headers):
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "path": path, "method": method, "headers": pairs}


class Answers:
    """What an application sends; the inner one says 200, after `go_on`."""

    def __init__(self, turns, bodies=1_000):
        self.go_on, self.statuses, self.seen = asyncio.Event(), [], []
        self.threshold = Threshold(self._inner, turns, Acquaintances(), bodies)

    async def ask(self, asked):
        asked["parley.identity"] = IDENTITY
        await self.threshold(asked, None, self._send)

    async def _inner(self, asked, receive, send):
        del receive
        self.seen.append(asked)
        await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def _send(self, message):
        if message["type"] == "http.response.start":
            self.statuses.append(message["status"])


@pytest.fixture
async def answers(web):
    app = await web()
    return lambda bodies=1_000: Answers(app.turns.turns, bodies)


@pytest.mark.parametrize("path", [ROUTE, "/api/v1/audit/erasures"])
async def test_bodies_have_so_much_room_and_give_it_back(answers, path):
    one = answers()
    first = asyncio.create_task(one.ask(scope(path, content_length="700")))
    await until(lambda: one.seen)
    await one.ask(scope(path, content_length="301"))
    assert one.statuses == [503]
    second = asyncio.create_task(one.ask(scope(path, content_length="300")))
    await until(lambda: len(one.seen) == 2)
    one.go_on.set()
    await asyncio.gather(first, second)
    await one.ask(scope(path, content_length="1000"))
    assert one.statuses == [503, 200, 200, 200]


@pytest.mark.parametrize("said", [{"transfer_encoding": "chunked"}, {"content_length": "99999999"}])
async def test_a_body_of_which_nobody_knows_is_as_long_as_may_be(answers, said):
    one = answers(bodies=(1 << 20) - 1)
    await one.ask(scope(**said))
    assert one.statuses == [503]
    one = answers(bodies=1 << 20)
    one.go_on.set()
    await one.ask(scope(**said))
    assert one.statuses == [200]


async def test_with_too_many_connections_only_health_is_answered(answers):
    one = answers()
    one.go_on.set()
    await one.ask(scope("/api/v1/limits", "GET") | {CROWDED: True})
    await one.ask(scope() | {CROWDED: True})
    await one.ask(scope("/health/live", "GET") | {CROWDED: True})
    assert one.statuses == [503, 503, 200]


async def identified(credentials):
    del credentials
    return CALLER


async def test_who_was_let_in_is_known_by_the_credential_alone():
    met = Acquaintances(capacity=2)
    remember = met.remembering(identified)
    key, cookie = scope(authorization="Bearer a"), scope(cookie="session=b")
    assert [met.whom(each) for each in (key, cookie, scope())] == [STRANGER] * 3
    await remember(Credentials(authorization="Bearer a"))
    await remember(Credentials(cookie="session=b"))
    await remember(Credentials())
    assert [met.whom(each) for each in (key, cookie, scope())] == ["ann", "ann", STRANGER]
    assert "Bearer" not in str(vars(met))
    await remember(Credentials(authorization="Bearer c"))
    assert [met.whom(each) for each in (key, cookie)] == [STRANGER, "ann"]


async def test_who_is_not_let_in_stays_a_stranger():
    async def refuse(credentials):
        del credentials
        raise KeyError

    met = Acquaintances()
    with pytest.raises(KeyError):
        await met.remembering(refuse)(Credentials(authorization="Bearer a"))
    assert met.whom(scope(authorization="Bearer a")) == STRANGER
    assert whom_of({}) == STRANGER
