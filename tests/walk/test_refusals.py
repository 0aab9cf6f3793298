"""Requests that are turned away: which status and words each gets, and what they leave behind."""

import httpx
import pytest

from tests.harness.chat import ROUTE, ask
from tests.harness.telling import ending, told

MODELS = "claude-sonnet-5-5, claude-haiku-5-5, claude-opus-5-5"

FIELDS = {
    "message missing": ({}, {"message"}),
    "message empty": ({"message": ""}, {"message"}),
    "message too long": ({"message": "x" * 32_001}, {"message"}),
    "message a number": ({"message": 7}, {"message"}),
    "message null": ({"message": None}, {"message"}),
    "message a list": ({"message": ["Hello"]}, {"message"}),
    "conversation no uuid": ({"message": "x", "conversationId": "mine"}, {"conversationId"}),
    "conversation a number": ({"message": "x", "conversationId": 1}, {"conversationId"}),
    "stream a word": ({"message": "x", "stream": "yes"}, {"stream"}),
    "stream a number": ({"message": "x", "stream": 1}, {"stream"}),
    "model unknown": ({"message": "x", "model": "gpt"}, {"model"}),
    "model empty": ({"message": "x", "model": ""}, {"model"}),
    "model a number": ({"message": "x", "model": 4}, {"model"}),
    "tokens zero": ({"message": "x", "maxTokens": 0}, {"maxTokens"}),
    "tokens negative": ({"message": "x", "maxTokens": -1}, {"maxTokens"}),
    "tokens beyond": ({"message": "x", "maxTokens": 4097}, {"maxTokens"}),
    "tokens huge": ({"message": "x", "maxTokens": 10**30}, {"maxTokens"}),
    "tokens a fraction": ({"message": "x", "maxTokens": 1.5}, {"maxTokens"}),
    "tokens a word": ({"message": "x", "maxTokens": "10"}, {"maxTokens"}),
    "unknown field": ({"message": "x", "temperature": 1}, {"temperature"}),
    "another case": ({"message": "x", "maxtokens": 1}, {"maxtokens"}),
    "our own name": ({"message": "x", "max_tokens": 1}, {"max_tokens"}),
    "several at once": (
        {"message": "", "conversationId": "x", "stream": 0, "model": "gpt", "maxTokens": 0, "extra": {}},
        {"message", "conversationId", "stream", "model", "maxTokens", "extra"},
    ),
}

BODIES = {
    "nothing": b"",
    "no json": b"{message: x}",
    "half": b'{"message": "x',
    "a list": b"[]",
    "a string": b'"Hello"',
    "null": b"null",
    "no utf-8": b'{"message": "\xff\xfe"}',
    "a lone surrogate": b'{"message": "\\ud800"}',
    "too deep": b"[" * 100_000,
    "rubbish after it": b'{"message": "x"} x',
    "a byte order mark": b'\xef\xbb\xbf{"message": "x"}',
}

INTERNAL = (
    "Traceback",
    "/service/",
    "site-packages",
    ".py",
    "msgspec",
    "sqlite",
    "SELECT",
    "Struct",
    "parley_",
)
"""Words that would show what is behind the door."""


def post(service, content: bytes, content_type: str | None = "application/json") -> httpx.Response:
    headers = {"Authorization": f"Bearer {service.api_key}"}
    headers |= {"Content-Type": content_type} if content_type else {}
    with httpx.Client(base_url=service.url, trust_env=False) as client:
        return client.post(ROUTE, content=content, headers=headers)


def refused(service, receiver, response: httpx.Response, status: int, code: str) -> list[dict[str, str]]:
    """One row, one line, and words that give nothing away; return `errors`."""
    body = response.json()
    assert (response.status_code, body["status"], body["code"]) == (status, status, code)
    assert (body["category"], body["fault"], body["retryable"]) == ("validation", "caller", False)
    assert body["error"] == "Invalid request. Please check your input and try again."
    assert not [word for word in INTERNAL if word in response.text]
    turn = told(service, receiver, body["requestId"])
    assert (turn.row["action"], turn.row["outcome"], turn.row["code"]) == ("REFUSED", "refused", code)
    assert (turn.row["costMicros"], turn.row["totalTokens"], turn.row["count"]) == (0, 0, 1)
    assert (turn.line["type"], turn.line["level"]) == ("agent_query_refused", "WARN")
    assert (turn.line["category"], turn.line["code"]) == ("validation", code)
    assert turn.errors == []
    return body["errors"]


@pytest.mark.parametrize("case", FIELDS)
def test_every_invalid_field_is_named(service, receiver, case):
    body, wrong = FIELDS[case]
    with httpx.Client(base_url=service.url, trust_env=False) as client:
        response = client.post(ROUTE, json=body, headers={"Authorization": f"Bearer {service.api_key}"})
    errors = refused(service, receiver, response, 400, "invalid_request")
    assert {error["field"] for error in errors} == wrong
    assert len(errors) == len(wrong)
    assert all(set(error) == {"field", "message"} and error["message"] for error in errors)


@pytest.mark.parametrize("case", BODIES)
def test_a_body_that_is_no_json_object_is_named_as_a_whole(service, receiver, case):
    errors = refused(service, receiver, post(service, BODIES[case]), 400, "invalid_request")
    assert len(errors) == 1
    assert errors[0]["message"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", None]
)
def test_a_body_that_is_not_json_by_its_own_word_is_415(service, receiver, kind):
    response = post(service, b'{"message": "x"}', kind)
    assert refused(service, receiver, response, 415, "unsupported_media_type") == []


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON"])
def test_json_may_be_called_by_all_its_names(service, kind):
    assert post(service, b'{"message": "x"}', kind).status_code == 200


def test_a_body_over_one_mebibyte_is_413(service, receiver):
    response = post(service, b'{"message": "' + b"x" * (1 << 20) + b'"}')
    assert refused(service, receiver, response, 413, "too_large") == []


def test_a_body_of_one_mebibyte_is_read(service, receiver):
    body = b'{"message": ""}'
    response = post(service, body + b" " * ((1 << 20) - len(body)))
    refused(service, receiver, response, 400, "invalid_request")


def test_a_body_over_one_mebibyte_in_chunks_is_413(service, receiver):
    def pieces():
        for _ in range(33):
            yield b" " * (1 << 15)

    response = post(service, pieces())
    assert refused(service, receiver, response, 413, "too_large") == []


def test_the_longest_message_is_taken(service):
    assert ask(service, "\U0001f9ea" * 32_000).status_code == 200


@pytest.mark.parametrize(
    "credential",
    [
        "",
        "Bearer",
        "Basic ZGV2OmRldg==",
        "Bearer parley_0000000000000000_" + "0" * 64,
        "Bearer parley_x",
        "Bearer " + "x" * 5000,
        "Bearer null",
        "Bearer ' OR 1=1 --",
    ],
)
def test_a_credential_that_does_not_hold_is_401(service, receiver, credential):
    response = ask(service, "Hello", key="", headers={"Authorization": credential} if credential else None)
    body = response.json()
    assert (response.status_code, body["code"]) == (401, "unauthenticated")
    assert response.headers["www-authenticate"] == "Bearer"
    assert "ratelimit" not in response.headers
    assert not [word for word in INTERNAL if word in response.text]
    turn = told(service, receiver, body["requestId"])
    assert (turn.row["actorId"], turn.row["outcome"], turn.row["code"]) == (
        None,
        "refused",
        "unauthenticated",
    )
    assert (turn.line["type"], turn.line["level"]) == ("access_denied", "WARN")


def test_the_secret_of_another_key_does_not_hold(service):
    key_id, secret = service.api_key.removeprefix("parley_").split("_")
    forged = f"parley_{key_id}_{secret[:-1]}{'0' if secret[-1] != '0' else '1'}"
    assert ask(service, "Hello", key=forged).status_code == 401


def test_nobody_learns_what_is_wrong_with_a_body_without_a_key(service):
    response = ask(service, "", key="", maxTokens=-1)
    assert (response.status_code, response.json()["errors"]) == (401, [])


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("POST", "/api/v1/agent/chat/more", 404, "not_found"),
        ("GET", "/api/v1/agent/%2e%2e/%00", 404, "not_found"),
        ("GET", ROUTE, 405, "method_not_allowed"),
        ("DELETE", ROUTE, 405, "method_not_allowed"),
        ("PUT", ROUTE, 405, "method_not_allowed"),
        ("POST", "/health/live", 405, "method_not_allowed"),
    ],
)
def test_what_is_not_there_is_a_problem_and_no_turn(service, method, path, status, code):
    response = httpx.request(method, service.url + path, trust_env=False)
    body = response.json()
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    assert (body["category"], body["code"], body["requestId"]) == (
        "validation",
        code,
        response.headers["x-request-id"],
    )
    assert "allow" in response.headers or status == 404
    assert not [word for word in INTERNAL if word in response.text]
    asked = ask(service, "Hello").json()
    service.wait_for_rows(entityId=asked["id"])
    assert service.rows(entityId=body["requestId"]) == []
    assert service.lines(requestId=body["requestId"]) == []


def test_a_refusal_keeps_what_was_known_of_it(service):
    response = ask(service, "A good question", maxTokens=0)
    line = ending(service, response.headers["x-request-id"])
    (row,) = service.wait_for_rows(entityId=response.headers["x-request-id"])
    assert (line["userId"], line["role"], row["actorId"]) == ("dev", "AUDITEE", "dev")
