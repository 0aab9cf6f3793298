"""A model that keeps failing is left alone, tried by one, and asked again once it answers."""

import logging

import pytest

from service.agent.upstream.breaker import IN_A_ROW, LONGEST, LOOKED_AT, PROBE, SHORTEST, WINDOW
from service.agent.upstream.guard import Guard, Guards
from service.agent.upstream.retries import EACH, MOST, RESERVE, Retries
from service.errors import (
    ClientGone,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from telemetry import names
from tests.harness.clock import Clock

OVERLOADED = UpstreamOverloaded("", status=529)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def guard(clock):
    return Guard("m", clock)


def ask(guard, error=None):
    guard.check()
    with guard.asking():
        if error:
            raise error


def fail(guard, error=OVERLOADED, times=1):
    for _ in range(times):
        with pytest.raises(type(error)) as raised:
            ask(guard, error)
        assert raised.value is error


def refused(guard, kind=UpstreamOverloaded):
    """The seconds it is refused for; 0 where it would be asked."""
    try:
        guard.check()
    except kind as refusal:
        return refusal.retry_after_ms / 1000
    return 0


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OVERLOADED, UpstreamOverloaded),
        (UpstreamOverloaded("", status=200), UpstreamOverloaded),
        (UpstreamFailed("", status=500), UpstreamOverloaded),
        (UpstreamFailed("", status=200, passing=True), UpstreamOverloaded),
        (UpstreamUnreachable(""), UpstreamUnreachable),
        (UpstreamTimeout("", status=200), UpstreamUnreachable),
    ],
    ids=["529", "overloaded event", "500", "api_error event", "unreachable", "timeout"],
)
def test_failures_of_its_own_in_a_row_open_it(guard, error, kind):
    fail(guard, error, IN_A_ROW - 1)
    ask(guard)
    fail(guard, error, IN_A_ROW - 1)
    assert not guard.breaker.open
    fail(guard, error)
    assert guard.breaker.open
    assert refused(guard, kind) == SHORTEST
    assert not guard.again()


@pytest.mark.parametrize(
    "error",
    [
        *[UpstreamFailed("", status=status) for status in (200, 400, 401, 403, 404, 408, 409, 413, 422)],
        UpstreamRateLimited("", status=429),
        UpstreamRateLimited("", status=200),
        ClientGone(),
        KeyError("ours"),
    ],
    ids=lambda error: f"{type(error).__name__}-{getattr(error, 'status', '')}",
)
def test_what_is_ours_or_the_callers_never_does(guard, error):
    fail(guard, error, 3 * LOOKED_AT)
    assert not guard.breaker.open


def test_half_of_the_latest_open_it_too(guard):
    for _ in range(LOOKED_AT // 2 - 1):
        ask(guard)
        fail(guard)
    ask(guard)
    assert not guard.breaker.open
    fail(guard)
    assert guard.breaker.open


def test_old_failures_count_no_more(guard, clock):
    fail(guard, times=IN_A_ROW - 1)
    clock.now += WINDOW
    fail(guard)
    assert not guard.breaker.open


def test_one_at_a_time_tries_it_and_closes_it(guard, clock):
    fail(guard, times=IN_A_ROW)
    clock.now += SHORTEST - 1
    assert refused(guard) == 1
    clock.now += 1
    with guard.asking():
        assert refused(guard) == PROBE
        assert guard.breaker.open
    assert not guard.breaker.open
    ask(guard)
    fail(guard, times=IN_A_ROW - 1)
    assert not guard.breaker.open


def test_it_stays_open_longer_after_each_probe_that_fails(guard, clock):
    fail(guard, times=IN_A_ROW)
    waits = []
    for _ in range(6):
        waits.append(refused(guard))
        clock.now += waits[-1]
        fail(guard)
    assert waits == [5, 10, 20, 40, LONGEST, LONGEST]


def test_a_probe_that_says_nothing_leaves_the_place_to_the_next(guard, clock):
    fail(guard, times=IN_A_ROW)
    clock.now += SHORTEST
    fail(guard, ClientGone())
    assert guard.breaker.open
    assert refused(guard) == 0
    ask(guard)
    assert not guard.breaker.open


def test_a_probe_that_is_refused_as_wrong_shows_that_it_works(guard, clock):
    fail(guard, times=IN_A_ROW)
    clock.now += SHORTEST
    fail(guard, UpstreamFailed("", status=400))
    assert not guard.breaker.open


def test_what_began_before_it_opened_is_old_news(guard):
    with guard.asking():
        fail(guard, times=IN_A_ROW)
    assert guard.breaker.open


def test_it_is_said_once_that_it_opens_and_closes(guard, clock, caplog):
    caplog.set_level(logging.INFO)
    fail(guard, times=IN_A_ROW)
    clock.now += SHORTEST
    fail(guard)
    clock.now += 2 * SHORTEST
    ask(guard)
    kinds = [record.line.type for record in caplog.records if hasattr(record, "line")]
    assert kinds == [names.BREAKER_OPENED, names.BREAKER_CLOSED]


def test_each_model_has_one_of_its_own(clock):
    guards = Guards(("a", "b"), clock=clock)
    fail(guards.of("a"), times=IN_A_ROW)
    assert guards.states() == {"a": True, "b": False}
    ask(guards.of("b"))
    ask(guards.of("c"))
    assert guards.of("a") is guards.of("a")


def test_switched_off_nothing_is_left_alone():
    guard = Guards(on=False).of("a")
    fail(guard, times=10 * IN_A_ROW)
    assert refused(guard) == 0
    assert all(guard.again() for _ in range(1000))


def test_a_quiet_service_may_retry_and_its_reserve_comes_back(clock):
    retries = Retries(clock)
    assert [retries.take() for _ in range(int(RESERVE) + 1)] == [True] * int(RESERVE) + [False]
    clock.now += 2 * EACH
    assert [retries.take() for _ in range(3)] == [True, True, False]
    clock.now += 1_000_000 * EACH
    assert sum(retries.take() for _ in range(1000)) == RESERVE


def test_a_tenth_of_what_is_answered_is_saved_up_to_a_bound(clock):
    retries = Retries(clock)
    for _ in range(int(RESERVE)):
        retries.take()
    for _ in range(100):
        retries.answered()
    assert sum(retries.take() for _ in range(100)) in {9, 10}
    for _ in range(1_000_000):
        retries.answered()
    assert sum(retries.take() for _ in range(1000)) == MOST
