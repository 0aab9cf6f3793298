import asyncio
import inspect

import pytest

from service import errors
from service.errors import (
    AuditUnwritable,
    ClientGone,
    ConcurrencyLimited,
    DatabaseError,
    InvalidRequest,
    OverBudget,
    Overloaded,
    RateLimited,
    Refusal,
    ServiceError,
    ShutDown,
    TokensLimited,
    ToolBroken,
    ToolFailed,
    ToolUnknown,
    TurnTimeout,
    UpstreamError,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnreachable,
    classify,
    ending_of,
)
from telemetry.failure import Code, FieldError
from telemetry.record import Decision, Outcome, RateLimit

WORDS = {
    "session": "authentication",
    "authentication": "authentication",
    "permission": "authorization",
    "unauthorized": "authorization",
    "forbidden": "authorization",
    "validation": "validation",
    "invalid": "validation",
    "rate limit": "rate_limit",
    "too many requests": "rate_limit",
    "database": "database",
    "prisma": "database",
    "query": "database",
    "agent": "agent_service",
    "claude": "agent_service",
    "anthropic": "agent_service",
    "fetch": "network",
    "network": "network",
    "ECONNREFUSED": "network",
}
"""The contract's words in its order, each with its category."""

DENIED = RateLimit(
    decision=Decision.DENIED, policy="role", limit=20, window_ms=60_000, remaining=0, retry_after_ms=1_500
)
PAIRS = [
    (first, second)
    for place, first in enumerate(WORDS)
    for second in list(WORDS)[place + 1 :]
    if WORDS[first] != WORDS[second]
]
CLASSES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, ServiceError) and not issubclass(kind, RateLimited)
]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("write", [str, str.upper, str.title, str.swapcase])
def test_a_word_in_any_case_decides(word, write):
    assert classify(RuntimeError(f"the {write(word)} of it")).category == WORDS[word]


@pytest.mark.parametrize("word", WORDS)
def test_a_word_within_a_word_decides(word):
    assert classify(RuntimeError(f"x{word}s")).category == WORDS[word]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_the_order_of_the_words_decides_not_their_place(first, second):
    assert classify(RuntimeError(f"{second} and {first}")).category == WORDS[first]


@pytest.mark.parametrize("words", ["", "something else", "sess ion", "rate  limit", "ratelimit", "data base"])
def test_other_words_are_unknown(words):
    assert classify(RuntimeError(words)).code is Code.INTERNAL


def test_the_name_of_a_type_is_no_word_of_it():
    class InvalidSession(Exception):
        pass

    assert classify(InvalidSession("broke")).code is Code.INTERNAL


def test_foreign_words_never_become_the_client_s():
    failure = classify(RuntimeError("SELECT secret FROM /etc/passwd"))
    assert failure.detail == ""
    assert failure.error == "RuntimeError: SELECT secret FROM /etc/passwd"
    assert failure.stack.startswith("RuntimeError: SELECT")


@pytest.mark.parametrize("kind", CLASSES)
def test_ours_are_classified_by_type_whatever_they_say(kind):
    error = kind("session permission invalid database anthropic network")
    assert classify(error).code is kind.code


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError("invalid session"), ConnectionResetError(), BrokenPipeError()]
)
def test_a_broken_connection_is_the_network_whatever_it_says(error):
    assert classify(error).code is Code.UPSTREAM_UNREACHABLE


@pytest.mark.parametrize(
    "error",
    [asyncio.CancelledError(), KeyboardInterrupt(), SystemExit(1), ExceptionGroup("x", [ValueError()])],
)
def test_anything_at_all_can_be_classified(error):
    assert classify(error).code is Code.INTERNAL


def test_an_error_that_cannot_speak_is_internal():
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("session")

    failure = classify(Mute())
    assert (failure.code, failure.error) == (Code.INTERNAL, "Mute")
    assert "Mute" in failure.stack


def test_what_an_error_of_ours_knows_is_kept():
    fields = (FieldError("message", "Expected `str`"),)
    failure = classify(InvalidRequest("Some fields are wrong.", fields=fields, retry_after_ms=7))
    assert (failure.detail, failure.fields, failure.retry_after_ms) == ("Some fields are wrong.", fields, 7)


def test_the_stack_names_the_cause():
    try:
        try:
            {}["deep"]
        except KeyError as error:
            raise DatabaseError("The database failed.") from error
    except DatabaseError as error:
        failure = classify(error)
    assert "KeyError: 'deep'" in failure.stack
    assert "test_errors.py" in failure.stack


def test_our_own_limit_says_how_long_to_wait():
    failure = classify(RateLimited(DENIED))
    assert (failure.code, failure.retry_after_ms) == (Code.RATE_LIMITED, 1_500)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (InvalidRequest(), Outcome.REFUSED),
        (RateLimited(DENIED), Outcome.REFUSED),
        (TokensLimited(DENIED), Outcome.REFUSED),
        (ConcurrencyLimited(DENIED), Outcome.REFUSED),
        (OverBudget(DENIED), Outcome.REFUSED),
        (DatabaseError(), Outcome.FAILED),
        (UpstreamFailed(), Outcome.FAILED),
        (TurnTimeout(), Outcome.TIMED_OUT),
        (ShutDown(), Outcome.SHUTDOWN),
        (RuntimeError(), Outcome.FAILED),
        (asyncio.CancelledError(), Outcome.FAILED),
    ],
)
def test_how_a_turn_ended(error, outcome):
    ending = ending_of(error)
    assert ending.outcome is outcome
    assert ending.failure.same_error(classify(error))


def test_a_client_that_left_is_nobodys_failure():
    assert (ending_of(ClientGone()).outcome, ending_of(ClientGone()).failure) == (Outcome.CLIENT_GONE, None)


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if issubclass(kind, Refusal)])
def test_every_refusal_refuses(kind):
    assert ending_of(kind()).outcome is Outcome.REFUSED


def test_a_made_up_tool_has_a_code_of_its_own():
    assert issubclass(ToolUnknown, ToolFailed)
    codes = {kind: classify(kind()).code for kind in (ToolFailed, ToolUnknown, ToolBroken)}
    assert codes == {ToolFailed: Code.INVALID_REQUEST, ToolUnknown: Code.NOT_FOUND, ToolBroken: Code.INTERNAL}


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (UpstreamFailed(), False),
        (UpstreamFailed(status=200), False),
        (UpstreamFailed(status=400), False),
        (UpstreamFailed(status=401), False),
        (UpstreamFailed(status=408), True),
        (UpstreamFailed(status=409), True),
        (UpstreamFailed(status=413), False),
        (UpstreamFailed(status=499), False),
        (UpstreamFailed(status=500), True),
        (UpstreamFailed(status=503), True),
        (UpstreamOverloaded(), True),
        (UpstreamRateLimited(status=429), True),
        (UpstreamUnreachable(), True),
        (UpstreamTimeout(), True),
    ],
)
def test_which_upstream_errors_another_attempt_may_mend(error, transient):
    assert isinstance(error, UpstreamError)
    assert error.transient is transient


@pytest.mark.parametrize(
    ("error", "unforeseen"),
    [
        (InvalidRequest("no"), False),
        (DatabaseError("no"), False),
        (UpstreamTimeout("no"), False),
        (ValueError("invalid"), True),
        (ConnectionResetError(), True),
        (asyncio.CancelledError(), True),
    ],
)
def test_what_is_not_ours_nobody_foresaw(error, unforeseen):
    assert classify(error).unforeseen is unforeseen


def test_a_refusal_that_comes_in_floods_costs_no_stack():
    failure = classify(Overloaded("no place"))
    assert (failure.code, failure.stack, failure.unforeseen) == (Code.OVERLOADED, "", False)
    assert classify(AuditUnwritable("no")).stack
