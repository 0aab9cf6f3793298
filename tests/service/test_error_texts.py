"""What a person is told of an error, and under which status."""

import pytest

from service.errors import OVER_BUDGET_TEXT, TEXTS, text_of, window_in_words
from service.web.problems import STATUS, TITLES
from telemetry.failure import RULES, Category, Code, Failure
from telemetry.record import Decision, RateLimit

CONTRACT = {
    401: {"unauthenticated"},
    403: {"forbidden", "cross_site"},
    400: {"invalid_request"},
    404: {"not_found"},
    405: {"method_not_allowed"},
    408: {"request_timeout"},
    409: {"conflict"},
    413: {"too_large"},
    415: {"unsupported_media_type"},
    422: {"idempotency_mismatch"},
    429: {"rate_limited", "tokens_limited", "concurrency_limited", "upstream_rate_limited"},
    402: {"over_budget"},
    500: {"database_error", "upstream_error", "upstream_overloaded", "internal"},
    503: {
        "budget_unavailable", "overloaded", "audit_unwritable", "upstream_unreachable", "upstream_timeout",
        "shutting_down",
    },
    504: {"turn_timeout"},
}  # fmt: skip


def limit(**facts) -> RateLimit:
    known = {"decision": Decision.DENIED, "policy": "role", "limit": 20, "window_ms": 60_000, "remaining": 0}
    return RateLimit(**known | {"retry_after_ms": 1_500} | facts)


@pytest.mark.parametrize(
    ("window_ms", "words"),
    [
        (1_000, "per second"),
        (60_000, "per minute"),
        (3_600_000, "per hour"),
        (1_500, "per 1.5 seconds"),
        (90_000, "per 90 seconds"),
        (86_400_000, "per 86400 seconds"),
        (100, "per 0.1 seconds"),
        (2_000, "per 2 seconds"),
        (10_010, "per 10.01 seconds"),
        (3_599_999, "per 3599.999 seconds"),
    ],
)
def test_a_window_in_words(window_ms, words):
    assert window_in_words(window_ms) == words


def test_the_texts_are_the_contracts():
    assert {category.value: text for category, text in TEXTS.items()} == {
        "authentication": "Your session has expired. Please refresh the page and log in again.",
        "authorization": "You don't have permission to perform this action. Contact your administrator if you believe this is an error.",  # noqa: E501 - the contract's words, unbroken
        "validation": "Invalid request. Please check your input and try again.",
        "rate_limit": "You're sending requests too quickly. Please wait a moment and try again.",
        "database": "A database error occurred. Please try again in a moment.",
        "agent_service": "AI service error. Please try rephrasing your question or try again later.",
        "network": "Network error. Please check your connection and try again.",
        "unknown": "An unexpected error occurred. Please try again.",
    }
    assert OVER_BUDGET_TEXT == "Your budget is used up. Please contact your administrator."


@pytest.mark.parametrize("code", Code)
def test_each_code_has_its_categorys_text(code):
    expected = OVER_BUDGET_TEXT if code is Code.OVER_BUDGET else TEXTS[RULES[code].category]
    assert text_of(Failure(code=code)) == expected


@pytest.mark.parametrize(
    ("facts", "words"),
    [({}, "20 requests per minute"), ({"limit": 3, "window_ms": 90_000}, "3 requests per 90 seconds")],
)
def test_our_own_limit_says_what_it_is(facts, words):
    text = text_of(Failure(code=Code.RATE_LIMITED), limit(**facts))
    assert text == f"Rate limit exceeded. You can send up to {words}. Please wait a moment and try again."


@pytest.mark.parametrize(
    "code", [Code.UPSTREAM_RATE_LIMITED, Code.OVERLOADED, Code.OVER_BUDGET, Code.INTERNAL]
)
def test_our_limit_is_not_the_reason_of_another_error(code):
    failure = Failure(code=code)
    assert text_of(failure, limit()) == text_of(failure)


def test_every_code_has_the_contracts_status():
    assert set(STATUS) == set(RULES) == set(Code)
    assert {
        status: {code.value for code in Code if STATUS[code] == status} for status in STATUS.values()
    } == CONTRACT


def test_every_category_has_words_and_a_code():
    assert set(TEXTS) == set(TITLES) == set(Category) == {rule.category for rule in RULES.values()}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (Code.RATE_LIMITED, "You can send up to 20 requests per minute."),
        (Code.TOKENS_LIMITED, "You can use up to 20 tokens per minute."),
        (Code.CONCURRENCY_LIMITED, "You can have up to 20 requests under way at the same time."),
    ],
)
def test_our_own_limiter_says_what_it_allows(code, words):
    said = f"Rate limit exceeded. {words} Please wait a moment and try again."
    assert text_of(Failure(code=code), limit()) == said
