import asyncio

import httpx
import pytest

from service.simulator import build
from service.simulator.app import KEPT
from tests.harness.waiting import wait

KEY = {"x-api-key": "any"}
HELLO = {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def http(base_url):
    with httpx.Client(base_url=base_url, trust_env=False) as http:
        yield http


def error(response):
    body = response.json()
    assert body["type"] == "error"
    assert body["request_id"] == response.headers["request-id"]
    return response.status_code, body["error"]["type"], body["error"]["message"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_it_can_be_reached_without_a_key(http, method):
    assert http.request(method, "/").status_code == 200


@pytest.mark.parametrize("path", ["/v1", "/v1/messages/", "/v1/complete", "/%F0%9F", "//v1/messages"])
def test_another_path_is_not_found(http, path):
    assert error(http.post(path, json=HELLO, headers=KEY))[:2] == (404, "not_found_error")


@pytest.mark.parametrize(("path", "allowed"), [("/v1/messages", "POST"), ("/", None)])
def test_another_method_is_not_allowed(http, path, allowed):
    response = http.request("PUT", path, headers=KEY)
    assert error(response)[:2] == (405, "invalid_request_error")
    assert response.headers["allow"] == (allowed or "GET, HEAD")


@pytest.mark.parametrize(
    "headers", [{}, {"x-api-key": ""}, {"authorization": "Bearer"}, {"authorization": "Basic eDp5"}]
)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_without_a_key_nothing_is_answered(http, headers, path):
    assert error(http.post(path, json=HELLO, headers=headers))[:2] == (401, "authentication_error")


@pytest.mark.parametrize("headers", [KEY, {"authorization": "Bearer any"}, {"authorization": "bearer any"}])
def test_any_key_will_do(http, headers):
    assert http.post("/v1/messages?beta=true", json=HELLO, headers=headers).status_code == 200


def find(simulator, request_id):
    """The request, once it is over: its answer may be here a moment earlier."""
    return next((fact for fact in simulator.requests if fact.request_id == request_id), None)


def test_a_wrong_body_is_refused_and_remembered(http, simulator):
    response = http.post("/v1/messages", content=b"{", headers=KEY)
    assert error(response)[:2] == (400, "invalid_request_error")
    seen = wait(lambda: find(simulator, response.headers["request-id"]))
    assert (seen.method, seen.path, seen.status, seen.model) == ("POST", "/v1/messages", 400, None)


def test_an_unknown_marker_is_refused_with_the_known_ones(http):
    body = HELLO | {"messages": [{"role": "user", "content": "[sim:nope]"}]}
    status, kind, message = error(http.post("/v1/messages", json=body, headers=KEY))
    assert (status, kind) == (400, "invalid_request_error")
    assert "[sim:nope]" in message
    assert "error-event" in message


def test_a_body_over_the_limit_is_too_large():
    simulator, sent = build(), []
    asyncio.run(simulator(scope("/v1/messages"), channel([b"x" * 2**24] * 3), collector(sent)))
    assert sent[0]["status"] == 413
    assert b"request_too_large" in sent[1]["body"]


def test_every_answer_has_the_headers_of_the_api(http):
    headers = http.post("/v1/messages", json=HELLO, headers=KEY).headers
    assert headers["request-id"].startswith("req_")
    assert headers["anthropic-organization-id"]
    assert int(headers["anthropic-ratelimit-requests-remaining"]) < int(
        headers["anthropic-ratelimit-requests-limit"]
    )
    assert headers["anthropic-ratelimit-output-tokens-reset"].endswith("Z")


def test_a_rate_limited_answer_has_nothing_remaining(http):
    body = HELLO | {"messages": [{"role": "user", "content": "[sim:429]"}]}
    headers = http.post("/v1/messages", json=body, headers=KEY).headers
    assert headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert "retry-after" not in headers


def test_tokens_are_counted_as_a_message_would_use_them(http):
    body = HELLO | {"system": "be brief", "tools": [{"name": "f", "input_schema": {"type": "object"}}]}
    usage = http.post("/v1/messages", json=body, headers=KEY).json()["usage"]
    del body["max_tokens"]
    counted = http.post("/v1/messages/count_tokens", json=body, headers=KEY).json()
    assert counted == {"input_tokens": usage["input_tokens"] + usage["cache_creation_input_tokens"]}


def scope(path):
    return {"type": "http", "method": "POST", "path": path, "headers": [(b"x-api-key", b"any")]}


def channel(parts):
    left = list(parts)

    async def receive():
        if not left:
            return {"type": "http.disconnect"}
        part = left.pop(0)
        return {"type": "http.request", "body": part, "more_body": True}

    return receive


def collector(sent):
    async def send(message):
        sent.append(message)

    return send


async def test_a_client_that_leaves_within_its_body_is_noticed():
    simulator, sent = build(), []
    await simulator(scope("/v1/messages"), channel([b"{"]), collector(sent))
    assert sent == []
    assert (simulator.requests[0].disconnected, simulator.requests[0].status) == (True, None)
    assert simulator.active == 0


async def test_only_the_last_requests_are_remembered():
    simulator = build()
    for number in range(KEPT + 5):
        await simulator(scope(f"/{number}"), channel([]), collector([]))
    assert [fact.path for fact in (simulator.requests[0], simulator.requests[-1])] == ["/5", f"/{KEPT + 4}"]
    assert len(simulator.requests) == KEPT


async def test_it_lives_and_ends_with_its_server():
    kinds, sent = iter(["lifespan.startup", "lifespan.shutdown"]), []

    async def receive():
        return {"type": next(kinds)}

    await build()({"type": "lifespan"}, receive, collector(sent))
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


async def test_a_web_socket_is_closed():
    sent = []
    await build()({"type": "websocket"}, channel([]), collector(sent))
    assert sent == [{"type": "websocket.close"}]
