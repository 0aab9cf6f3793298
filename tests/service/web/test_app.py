"""The whole application in process: what every answer has, whatever was asked."""

import json
import re
from uuid import UUID

import pytest
from opentelemetry.trace import StatusCode

from service.errors import DatabaseError
from service.web.chat import MAX_BODY
from tests.harness.problems import FIELDS, problem
from tests.harness.sdk import traced

HEX = re.compile(r"[0-9a-f]{32}")
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
CHAT = "/api/v1/agent/chat"

REQUESTS = [
    ("GET", "/"),
    ("GET", "/nowhere"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", CHAT),
    ("POST", CHAT),
    ("POST", "/health/live"),
    ("HEAD", "/health/live"),
    ("OPTIONS", CHAT),
    ("BREW", "/health/live"),
    ("GET", "/%ff%00"),
    ("GET", "/..%2f..%2fetc%2fpasswd"),
    ("GET", "//health//live//"),
    ("GET", "/" + "x" * 10_000),
]


@pytest.mark.parametrize(("method", "path"), REQUESTS)
async def test_every_answer_is_marked(web, method, path):
    response = await (await web()).client.request(method, path)
    assert response.status_code < 500
    assert UUID(response.headers["x-request-id"]).version == 7
    assert HEX.fullmatch(response.headers["x-trace-id"])
    assert response.headers.get_list("cache-control") == ["no-store"]
    assert len(response.headers.get_list("x-request-id")) == 1
    assert response.headers.get_list("x-content-type-options") == ["nosniff"]
    assert response.headers.get_list("referrer-policy") in (["no-referrer"], ["same-origin"])
    assert response.headers.get_list("cross-origin-resource-policy") == ["same-origin"]
    (policy,) = response.headers.get_list("content-security-policy")
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy


async def test_a_path_that_is_none(web):
    response = await (await web()).client.get("/nowhere")
    body = problem(response, 404, "not_found")
    assert body["detail"] == "There is nothing at this address."


@pytest.mark.parametrize(
    ("method", "path", "allow"), [("GET", CHAT, "POST"), ("POST", "/health/live", "GET")]
)
async def test_a_method_that_is_none_says_which_are(web, method, path, allow):
    response = await (await web()).client.request(method, path)
    problem(response, 405, "method_not_allowed")
    assert allow in [each.strip() for each in response.headers["allow"].split(",")]


async def chunks(size):
    for _ in range(size // 1024):
        yield b"x" * 1024


async def test_a_body_too_large_is_a_turn_that_was_refused(web):
    app = await web()
    for content in (b"x" * (MAX_BODY + 1), chunks(MAX_BODY + 1024)):
        response = await app.send(content)
        problem(response, 413, "too_large")
        assert response.headers["ratelimit"]
    assert [record.failure.code for record in app.records] == ["too_large", "too_large"]
    assert [record.opening.caller.user_id for record in app.records] == ["ann", "ann"]


async def test_the_largest_body_is_taken(web):
    app = await web()
    filler = json.dumps({"message": "hi"}).encode()
    assert (await app.send(filler + b" " * (MAX_BODY - len(filler)))).status_code == 200


async def test_a_body_too_large_from_nobody_is_nobodys(web):
    app = await web()
    response = await app.send(b"x" * (MAX_BODY + 1), authorization="Bearer x")
    problem(response, 401, "unauthenticated")


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/json; charset=latin-1"])
async def test_a_body_that_is_not_json_by_its_own_word(web, content_type):
    app = await web()
    problem(await app.send(b'{"message": "hi"}', content_type=content_type), 415, "unsupported_media_type")
    assert len(app.records) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"null", b'{"message": "\\ud800"}', b"[" * 9999])
async def test_a_body_that_is_not_json(web, content):
    app = await web()
    body = problem(await app.send(content), 400, "invalid_request")
    assert [error["field"] for error in body["errors"]] == ["body"]
    assert app.records[0].outcome == "refused"


async def test_every_field_that_is_wrong_is_named(web):
    app = await web()
    response = await app.ask("", model="nope", maxTokens=0, x=1)
    body = problem(response, 400, "invalid_request")
    assert {error["field"] for error in body["errors"]} == {"message", "model", "maxTokens", "x"}
    assert response.headers["ratelimit"]


@pytest.mark.parametrize("content", [b'{"message": "hi"}', b"{", b""])
@pytest.mark.parametrize("credential", ["", "Bearer x", "Basic eA==", "Bearer \xe9"])
async def test_nobody_is_told_anything_of_limits(web, credential, content):
    app = await web()
    response = await app.send(content, authorization=credential.encode("latin-1"))
    problem(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"] == "Bearer"
    assert not [name for name in response.headers if name.startswith("ratelimit")]
    assert [record.failure.code for record in app.records] == ["unauthenticated"]


async def test_the_database_being_away_is_told_in_our_words(web, monkeypatch):
    app = await web()

    async def away(_):
        raise DatabaseError("The database did not answer.") from RuntimeError("CANARY /var/db SELECT")

    monkeypatch.setattr(app.database.keys, "find", away)
    response = await app.ask()
    body = problem(response, 500, "database_error")
    assert body["detail"] == "The database did not answer."
    assert "CANARY" not in response.text


@pytest.mark.parametrize("canary", ["CANARY /etc/x", "CANARY permission denied", "CANARY invalid query"])
async def test_an_exception_of_a_handler_leaks_nothing(web, monkeypatch, canary, caplog):
    async def broken(*_):
        raise RuntimeError(canary)

    with traced() as kept:
        app = await web()
        monkeypatch.setattr(type(app.database.questions), "usage", broken)
        response = await app.client.get("/api/v1/usage")
    assert kept.get_finished_spans()[-1].status.status_code is StatusCode.ERROR
    assert response.status_code >= 400
    assert list(response.json()) == FIELDS
    assert "CANARY" not in response.text + str(response.headers)
    assert "Traceback" not in response.text
    if response.status_code >= 500:
        problem(response, 500, "internal")
    (failed,) = [each.line.fields for each in caplog.records if each.msg == "request_failed"]
    assert failed["error"] == f"RuntimeError: {canary}"
    assert "Traceback" in failed["stack"]


@pytest.mark.parametrize(
    "given", ["abc", "A-1_b.c:d/e=f+g", "x" * 128, "0190163d-8694-739b-b3c1-cf0a1b2c3d4e"]
)
async def test_a_well_formed_request_id_of_the_client_is_kept_beside_ours(web, given):
    app = await web()
    response = await app.ask(headers={"x-request-id": given})
    assert response.headers["x-request-id"] == app.records[0].opening.turn_id != given
    assert app.records[0].opening.client_request_id == given


@pytest.mark.parametrize("given", [b"", b" ", b"a b", b"x" * 129, b"a\x00b", b"\xff", b"<a>", b'"', b"a;b"])
async def test_any_other_is_dropped(web, given):
    app = await web()
    response = await app.ask(headers={b"x-request-id": given})
    assert response.status_code == 200
    assert app.records[0].opening.client_request_id is None


async def test_the_trace_is_the_clients_where_it_brings_one(web):
    app = await web()
    response = await app.ask(headers={"traceparent": PARENT})
    assert response.headers["x-trace-id"] == response.json()["traceId"] == TRACE
    assert app.records[0].opening.trace_id == TRACE
    refused = await app.client.get("/nowhere", headers={"traceparent": PARENT})
    assert problem(refused, 404, "not_found")["traceId"] == TRACE


@pytest.mark.parametrize(
    "given", ["", "x", f"00-{'0' * 32}-b7ad6b7169203331-01", f"ff-{TRACE}-b7ad6b7169203331-01"]
)
async def test_a_broken_traceparent_is_none(web, given):
    response = await (await web()).ask(headers={"traceparent": given})
    assert response.status_code == 200
    assert response.headers["x-trace-id"] == response.json()["traceId"] != TRACE


async def test_ids_are_one_per_request(web):
    app = await web()
    answers = [await app.client.get("/health/live") for _ in range(5)]
    for name in ("x-request-id", "x-trace-id"):
        assert len({answer.headers[name] for answer in answers}) == 5


async def test_health(web, monkeypatch):
    app = await web()
    assert (await app.client.get("/health/live")).json() == {"status": "live"}
    ready = await app.client.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert set(ready.json()["dependencies"]) >= {"database", "model", "limits"}

    async def away():
        raise DatabaseError("The database did not answer.")

    monkeypatch.setattr(app.database, "ping", away)
    ready = await app.client.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert ready.json()["dependencies"]["database"] == {
        "status": "degraded",
        "detail": "The database did not answer.",
    }
    await app.turns.turns.stop()
    ready = await app.client.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (503, "not_ready")
    assert (await app.client.get("/health/live")).status_code == 200
