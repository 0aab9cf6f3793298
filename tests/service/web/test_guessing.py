"""Guessing by address on every route that takes a credential: 429 before anything of it is looked at."""

import pytest
from litestar import Litestar

from service.app import face
from tests.service.web.test_admission import problem

ROUTE = "/api/v1/agent/chat"
WRONG = {"authorization": "Bearer parley_" + "0" * 16 + "_" + "f" * 64}
TAKING = (
    ("POST", ROUTE, WRONG),
    ("GET", "/api/v1/usage", WRONG),
    ("GET", "/api/v1/keys", {"authorization": "Bearer a.b.c"}),
    ("GET", "/console/", {"cookie": "session=a.b.c"}),
    ("POST", "/console/logout", {"cookie": "session=a.b.c"}),
    ("GET", "/console/sign-in?code=wrong", {}),
)


async def tried(app, method, path, headers):
    body = {"json": {"message": "hello"}} if path == ROUTE else {}
    request = app.client.build_request(method, path, headers=headers, **body)
    if "authorization" not in headers:
        del request.headers["authorization"]
    return await app.client.send(request)


@pytest.mark.parametrize(("method", "path", "headers"), TAKING, ids=[path for _, path, _ in TAKING])
async def test_too_many_wrong_ones_have_to_wait_on_every_route(web, method, path, headers):
    app = await web(auth_failures=3)
    for _ in range(3):
        assert (await tried(app, method, path, headers)).status_code == 401
    for other in TAKING:
        told = await tried(app, *other)
        problem(told, 429, "rate_limited")
        assert 1 <= int(told.headers["retry-after"]) <= 20


async def test_one_request_is_one_guess_though_it_has_an_idempotency_key(web):
    app = await web(auth_failures=3)
    keyed = WRONG | {"idempotency-key": "a-key-of-somebody"}
    answers = [(await tried(app, "POST", ROUTE, keyed)).status_code for _ in range(4)]
    assert answers == [401, 401, 401, 429]


async def test_who_was_let_in_lately_goes_on_and_strangers_wait(web):
    app = await web(auth_failures=2)
    assert (await app.ask()).status_code == 200
    for _ in range(3):
        await tried(app, "GET", "/api/v1/usage", WRONG)
    assert (await app.client.get("/api/v1/limits")).status_code == 200
    assert (await tried(app, "GET", "/api/v1/usage", WRONG)).status_code == 429


async def test_on_the_chat_route_it_is_a_turn_that_was_refused(web):
    app = await web(auth_failures=1)
    for _ in range(2):
        told = await tried(app, "POST", ROUTE, WRONG)
    assert told.status_code == 429
    record = app.records[-1]
    assert (record.outcome.value, record.failure.code.value) == ("refused", "rate_limited")
    assert record.opening.caller is None


async def test_turns_never_come_to_litestar_and_are_guarded_all_the_same(web, monkeypatch):
    seen = []

    class Seen(Litestar):
        async def __call__(self, scope, receive, send):
            seen.extend([scope["path"]] if scope["type"] == "http" else [])
            await super().__call__(scope, receive, send)

    monkeypatch.setattr(face, "Litestar", Seen)
    app = await web(auth_failures=3)
    assert (await app.ask()).status_code == 200
    answers = [(await tried(app, "POST", ROUTE, WRONG)).status_code for _ in range(4)]
    assert (answers, seen) == ([401, 401, 401, 429], [])
    assert (await app.client.get("/api/v1/limits")).status_code == 200
    assert (await tried(app, "GET", "/api/v1/usage", WRONG)).status_code == 429


async def test_without_a_credential_nobody_guesses(web):
    app = await web(auth_failures=1)
    for _ in range(5):
        assert (await tried(app, "GET", "/api/v1/usage", {})).status_code == 401
        assert (await app.client.get("/health/live")).status_code == 200


async def test_where_it_is_wished_nobody_is_held_off(web):
    app = await web(auth_failures=0)
    assert {(await tried(app, "GET", "/api/v1/usage", WRONG)).status_code for _ in range(20)} == {401}
