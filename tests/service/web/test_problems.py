"""Failures as HTTP: the contract's table, its body, and nothing of the inside."""

import json

import pytest

from service.errors import classify, text_of
from service.web.identity import Identity
from service.web.problems import MEDIA_TYPE, STATUS, problem_of
from telemetry.failure import Code, Failure, FieldError
from telemetry.record import Decision, RateLimit
from tests.harness.problems import FIELDS

IDENTITY = Identity(request_id="r1", trace_id="a" * 32)

TABLE = {
    "authentication": {"unauthenticated": 401},
    "authorization": {"forbidden": 403, "cross_site": 403},
    "validation": {
        "invalid_request": 400,
        "not_found": 404,
        "method_not_allowed": 405,
        "conflict": 409,
        "too_large": 413,
        "unsupported_media_type": 415,
        "idempotency_mismatch": 422,
        "request_timeout": 408,
    },
    "rate_limit": {
        "rate_limited": 429,
        "tokens_limited": 429,
        "concurrency_limited": 429,
        "upstream_rate_limited": 429,
        "over_budget": 402,
        "budget_unavailable": 503,
        "overloaded": 503,
    },
    "database": {"database_error": 500, "audit_unwritable": 503},
    "agent_service": {"upstream_error": 500, "upstream_overloaded": 500, "turn_timeout": 504},
    "network": {"upstream_unreachable": 503, "upstream_timeout": 503, "shutting_down": 503},
    "unknown": {"internal": 500},
}
"""Contract, section 3."""

CASES = [(category, code, status) for category, codes in TABLE.items() for code, status in codes.items()]


@pytest.mark.parametrize(("category", "code", "status"), CASES)
def test_each_code_has_its_status_and_body(category, code, status):
    failure = Failure(code=Code(code))
    problem = problem_of(failure, IDENTITY)
    assert problem.status == problem.body["status"] == status
    assert list(problem.body) == FIELDS
    assert (problem.body["category"], problem.body["code"]) == (category, code)
    assert problem.body["type"] == f"urn:parley:error:{category}"
    assert problem.body["error"] == problem.body["detail"] == text_of(failure)
    assert (problem.body["requestId"], problem.body["traceId"]) == ("r1", "a" * 32)
    assert problem.headers["content-type"] == MEDIA_TYPE == "application/problem+json"
    assert problem.body["title"]
    assert json.loads(problem.encoded()) == problem.body


def test_the_table_is_whole():
    assert {code for _, code, _ in CASES} == {code.value for code in Code} == {code.value for code in STATUS}


def test_what_is_known_is_told():
    fields = (FieldError("message", "Required"), FieldError("x", "Unknown field"))
    failure = Failure(code=Code.INVALID_REQUEST, detail="Two are wrong.", fields=fields)
    body = problem_of(failure, IDENTITY).body
    assert body["detail"] == "Two are wrong."
    assert body["errors"] == [
        {"field": "message", "message": "Required"},
        {"field": "x", "message": "Unknown field"},
    ]
    assert (body["retryable"], body["fault"]) == (False, "caller")


def test_a_limit_is_told_in_words():
    limit = RateLimit(decision=Decision.DENIED, policy="role", limit=20, window_ms=60_000, remaining=0)
    body = problem_of(Failure(code=Code.RATE_LIMITED), IDENTITY, limit).body
    assert body["error"] == (
        "Rate limit exceeded. You can send up to 20 requests per minute. Please wait a moment and try again."
    )
    assert (body["retryable"], body["fault"]) == (True, "policy")


def test_the_upstreams_limit_is_not_ours():
    limit = RateLimit(decision=Decision.ALLOWED, policy="role", limit=20, window_ms=60_000, remaining=3)
    body = problem_of(Failure(code=Code.UPSTREAM_RATE_LIMITED), IDENTITY, limit).body
    assert body["error"] == "You're sending requests too quickly. Please wait a moment and try again."
    assert body["fault"] == "provider"


@pytest.mark.parametrize(
    ("milliseconds", "seconds"),
    [(None, "1"), (0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (59_999, "60"), (60_000, "60")],
)
@pytest.mark.parametrize("code", [Code.RATE_LIMITED, Code.CONFLICT, Code.OVERLOADED, Code.SHUTTING_DOWN])
def test_retry_after_is_never_too_early(code, milliseconds, seconds):
    headers = problem_of(Failure(code=code, retry_after_ms=milliseconds), IDENTITY).headers
    assert headers["retry-after"] == seconds


@pytest.mark.parametrize(("code", "status"), [(code, status) for _, code, status in CASES])
def test_headers_by_status(code, status):
    failure = Failure(code=Code(code), retry_after_ms=5_000)
    headers = problem_of(failure, IDENTITY).headers
    assert ("retry-after" in headers) is (failure.retryable or status in {409, 429, 503})
    assert headers.get("www-authenticate") == ("Bearer" if status == 401 else None)


@pytest.mark.parametrize(("code", "status"), [(code, status) for _, code, status in CASES])
def test_a_wait_that_nobody_knows_is_told_where_one_is_due(code, status):
    headers = problem_of(Failure(code=Code(code)), IDENTITY).headers
    assert ("retry-after" in headers) is (status in {409, 429, 503})


CANARIES = [
    "SELECT secret FROM t",
    "/home/ann/x.py",
    "sk-ant-123",
    "permission denied: CANARY",
    "invalid CANARY",
]


@pytest.mark.parametrize("canary", CANARIES)
@pytest.mark.parametrize("kind", [RuntimeError, ValueError, OSError, ConnectionError, KeyError])
def test_foreign_errors_leak_nothing(kind, canary):
    failure = classify(kind(canary))
    assert canary in failure.error
    said = str(problem_of(failure, IDENTITY)) + problem_of(failure, IDENTITY).encoded().decode()
    assert canary not in said
    assert "CANARY" not in said
    assert "Traceback" not in said
    assert kind.__name__ not in said
