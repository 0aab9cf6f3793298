"""What every limiter promises, whatever it keeps its state in; each store is one line in STORES."""

import random
from collections.abc import Callable
from itertools import islice

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.limits import Limiter, MemoryLimiter
from telemetry.record import Decision, RateLimit

WINDOW_MS = 100
WINDOW = WINDOW_MS * 1_000_000
MS = 1_000_000


class Clock:
    """Nanoseconds that move only when told."""

    def __init__(self, now: int = 10**15) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


Make = Callable[[Clock], Limiter]

STORES: dict[str, Make] = {
    "memory": lambda clock: MemoryLimiter(WINDOW_MS, clock=clock),
    "memory_in_overflow": lambda clock: MemoryLimiter(WINDOW_MS, clock=clock, max_keys=0, buckets=1 << 40),
}


@pytest.fixture(params=STORES.values(), ids=STORES.keys())
def make(request) -> Make:
    return request.param


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(make: Make, clock: Clock) -> Limiter:
    return make(clock)


def admitted(limit: RateLimit) -> bool:
    return limit.decision is Decision.ALLOWED


def most_in_any_window(times: list[int]) -> int:
    """Count by force: every half-open window that could be the worst begins at an admission."""
    return max((sum(1 for other in times if start <= other < start + WINDOW) for start in times), default=0)


def test_burst_from_idle_is_admitted_whole_and_not_one_more(limiter):
    assert [admitted(limiter.admit("a", 7)) for _ in range(9)] == [True] * 7 + [False] * 2


def test_numbers_of_a_burst(limiter, clock):
    told = []
    for _ in range(4):
        told.append(limiter.admit("a", 3))
        clock.now += 10 * MS
    assert [limit.remaining for limit in told] == [2, 1, 0, 0]
    assert [limit.reset_ms for limit in told] == [100, 90, 80, 70]
    assert [limit.retry_after_ms for limit in told] == [0, 0, 0, 70]
    assert [limit.decision for limit in told] == [Decision.ALLOWED] * 3 + [Decision.DENIED]
    assert {(limit.policy, limit.limit, limit.window_ms) for limit in told} == {("role", 3, WINDOW_MS)}


def test_an_admission_counts_to_the_last_nanosecond_and_no_longer(limiter, clock):
    assert admitted(limiter.admit("a", 1))
    clock.now += WINDOW - 1
    assert not admitted(limiter.admit("a", 1))
    clock.now += 1
    assert admitted(limiter.admit("a", 1))


def test_refusals_cost_nothing(limiter, clock):
    for _ in range(2):
        limiter.admit("a", 2)
    for _ in range(50):
        clock.now += 1
        assert not admitted(limiter.admit("a", 2))
    clock.now += WINDOW - 50
    assert [admitted(limiter.admit("a", 2)) for _ in range(3)] == [True, True, False]


def test_peek_counts_nothing(limiter):
    limiter.admit("a", 2)
    assert [limiter.peek("a", 2).remaining for _ in range(5)] == [1] * 5
    assert admitted(limiter.admit("a", 2))


def test_peek_of_an_unknown_subject(limiter):
    limit = limiter.peek("nobody", 5)
    assert (limit.decision, limit.remaining, limit.reset_ms, limit.retry_after_ms) == (
        Decision.ALLOWED,
        5,
        0,
        0,
    )


def test_peek_says_what_admit_would(limiter, clock):
    for _ in range(3):
        limiter.admit("a", 3)
        clock.now += 7 * MS + 13
    assert limiter.peek("a", 3) == limiter.admit("a", 3)
    assert limiter.peek("a", 3).decision is Decision.DENIED


def test_reset_is_zero_again_once_nothing_is_used(limiter, clock):
    limiter.admit("a", 2)
    clock.now += WINDOW
    assert (limiter.peek("a", 2).remaining, limiter.peek("a", 2).reset_ms) == (2, 0)


@pytest.mark.parametrize("elapsed", [0, 1, 999_999, MS, 1_500_000, 33 * MS + 1, WINDOW - MS, WINDOW - 1])
def test_retry_after_is_exact(make, elapsed):
    def at_wait_less(milliseconds: int) -> bool:
        clock = Clock()
        limiter = make(clock)
        limiter.admit("a", 1)
        clock.now += elapsed
        wait = limiter.admit("a", 1).retry_after_ms
        assert wait >= 1
        clock.now += (wait - milliseconds) * MS
        return admitted(limiter.admit("a", 1))

    assert at_wait_less(0)
    assert not at_wait_less(1)


def test_reset_is_when_remaining_rises(limiter, clock):
    limiter.admit("a", 3)
    clock.now += 5 * MS + 1
    before = limiter.admit("a", 3)
    clock.now += (before.reset_ms - 1) * MS
    assert limiter.peek("a", 3).remaining == before.remaining
    clock.now += MS
    assert limiter.peek("a", 3).remaining == before.remaining + 1


def test_subjects_do_not_share(limiter):
    names = [
        "a/b",
        "a",
        "b",
        "",
        " ",
        "a\x00b",
        "é",
        "e\u0301",
        "\ud800",
        "\ud801",
        "x" * 100_000,
        "x" * 99_999,
    ]
    for name in names:
        assert [admitted(limiter.admit(name, 2)) for _ in range(3)] == [True, True, False], name[:9]


def test_a_raised_limit_counts_what_was_admitted_before(limiter):
    for _ in range(2):
        limiter.admit("a", 2)
    assert limiter.peek("a", 5).remaining == 3
    assert [admitted(limiter.admit("a", 5)) for _ in range(4)] == [True, True, True, False]


def test_a_lowered_limit_waits_for_as_many_to_expire_as_it_takes(limiter, clock):
    for _ in range(5):
        limiter.admit("a", 5)
        clock.now += 10 * MS
    lowered = limiter.admit("a", 2)
    # 50 ms later the fourth admission is the one whose expiry leaves fewer than two.
    assert (lowered.decision, lowered.remaining) == (Decision.DENIED, 0)
    assert (lowered.retry_after_ms, lowered.reset_ms) == (80, 80)
    clock.now += 80 * MS - 1
    assert not admitted(limiter.admit("a", 2))
    clock.now += 1
    assert admitted(limiter.admit("a", 2))


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limiter, limit):
    with pytest.raises(ValueError, match="at least 1"):
        limiter.admit("a", limit)
    with pytest.raises(ValueError, match="at least 1"):
        limiter.peek("a", limit)


# An adversary: bursts, waits that end a nanosecond before, at or after a boundary, and limits that change.
STEPS = st.lists(
    st.tuples(
        st.one_of(
            st.sampled_from([0, 1, WINDOW - 1, WINDOW, WINDOW + 1, WINDOW // 2]),
            st.integers(0, 2 * WINDOW),
            st.integers(0, WINDOW // 8),
        ),
        st.integers(1, 6),
        st.integers(1, 4),
    ),
    max_size=60,
)


@pytest.mark.parametrize("make", STORES.values(), ids=STORES.keys())
@given(steps=STEPS, limit=st.integers(1, 5))
@example(steps=[(0, 4, 1), (WINDOW - 1, 4, 1), (1, 4, 1)], limit=4)
def test_no_window_ever_holds_more_than_the_limit(make, steps, limit):
    clock = Clock()
    limiter, times = make(clock), []
    for pause, burst, _ in steps:
        clock.now += pause
        times += [clock.now for _ in range(burst) if admitted(limiter.admit("a", limit))]
    assert most_in_any_window(times) <= limit


@pytest.mark.parametrize("make", STORES.values(), ids=STORES.keys())
@given(steps=STEPS)
def test_decisions_are_those_of_the_definition_even_when_limits_change(make, steps):
    clock = Clock()
    limiter, times = make(clock), []
    for pause, burst, limit in steps:
        clock.now += pause
        for _ in range(burst):
            used = sum(1 for time in times if time > clock.now - WINDOW)
            decision = limiter.admit("a", limit)
            assert admitted(decision) == (used < limit)
            assert decision.remaining == max(0, limit - used - admitted(decision))
            times += [clock.now] * admitted(decision)


@pytest.mark.parametrize("make", STORES.values(), ids=STORES.keys())
@given(steps=STEPS)
def test_waits_are_exact_to_the_millisecond(make, steps):
    clock = Clock()
    limiter = make(clock)
    for pause, burst, limit in steps:
        clock.now += pause
        for _ in range(burst):
            last = limiter.admit("a", limit)
        if not admitted(last):
            clock.now += (last.retry_after_ms - 1) * MS
            assert not admitted(limiter.peek("a", limit))
            clock.now += MS
            assert admitted(limiter.peek("a", limit))


def test_two_hundred_thousand_decisions(make):
    clock, rng, limit = Clock(), random.Random(20), 20  # noqa: S311 - a schedule, no secret
    limiter = make(clock)
    times = {name: [] for name in "abcd"}
    for _ in range(200_000):
        name = rng.choice("abcd")
        if admitted(limiter.admit(name, limit)):
            times[name].append(clock.now)
        clock.now += rng.choice((0, 1, MS, rng.randrange(4 * MS), rng.randrange(WINDOW // 4)))
    for admissions in times.values():
        spans = zip(admissions, islice(admissions, limit, None), strict=False)
        assert min(later - earlier for earlier, later in spans) >= WINDOW
        assert len(admissions) > 10_000
