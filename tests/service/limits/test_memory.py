from hypothesis import given
from hypothesis import strategies as st

from service.limits import MemoryLimiter
from telemetry.record import Decision

WINDOW_MS = 1_000
WINDOW = WINDOW_MS * 1_000_000


class Clock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def small(clock: Clock, max_keys: int = 100, buckets: int = 8) -> MemoryLimiter:
    return MemoryLimiter(WINDOW_MS, clock=clock, max_keys=max_keys, buckets=buckets)


def admits(limiter: MemoryLimiter, subject: str, limit: int) -> bool:
    return limiter.admit(subject, limit).decision is Decision.ALLOWED


def test_a_flood_neither_frees_an_offender_nor_blocks_a_victim():
    clock = Clock()
    limiter = small(clock)
    offender = [admits(limiter, "offender", 3) for _ in range(4)]
    assert offender == [True, True, True, False]
    assert admits(limiter, "victim", 3)
    for number in range(5_000):
        limiter.admit(f"flood-{number}", 3)
        clock.now += 1
        assert not admits(limiter, "offender", 3)
    assert [admits(limiter, "victim", 3) for _ in range(3)] == [True, True, False]


def test_memory_is_bounded_under_a_flood():
    clock = Clock()
    limiter = small(clock)
    for number in range(5_000):
        limiter.admit(f"flood-{number}", 3)
    assert len(limiter) == 108


def test_memory_is_bounded_when_the_flood_goes_on_for_many_windows():
    clock = Clock()
    limiter, most = small(clock), 0
    for number in range(20_000):
        limiter.admit(f"flood-{number}", 3)
        clock.now += WINDOW // 80
        most = max(most, len(limiter))
    # 80 a window fit: no bucket was ever needed, and the idle ones were gone before new ones came.
    assert most <= 81


def test_refusals_and_peeks_hold_no_log():
    clock = Clock()
    limiter = small(clock)
    for number in range(50):
        limiter.peek(f"curious-{number}", 3)
    assert len(limiter) == 0


def test_idle_logs_go_two_a_call_and_never_in_one_sweep():
    clock = Clock()
    limiter = small(clock)
    for number in range(100):
        limiter.admit(f"early-{number}", 1)
    clock.now += WINDOW
    sizes = []
    for _ in range(60):
        limiter.admit("late", 1_000)
        sizes.append(len(limiter))
    assert sizes[:3] == [99, 97, 95]
    assert sizes[-1] == 1


def test_a_log_that_is_still_live_stays_behind_idle_ones():
    clock = Clock()
    limiter = small(clock)
    limiter.admit("steady", 2)
    limiter.admit("idle", 2)
    clock.now += WINDOW // 2
    limiter.admit("steady", 2)
    clock.now += WINDOW // 2
    limiter.admit("other", 2)
    assert len(limiter) == 2
    assert limiter.peek("steady", 2).remaining == 1


def test_new_subjects_share_what_is_left_and_get_their_own_log_again():
    clock = Clock()
    limiter = small(clock, max_keys=1, buckets=1)
    limiter.admit("held", 2)
    assert [admits(limiter, name, 2) for name in ("b", "c", "d")] == [True, True, False]
    assert limiter.peek("d", 2).retry_after_ms == WINDOW_MS
    clock.now += WINDOW
    assert [admits(limiter, "d", 2) for _ in range(3)] == [True, True, False]
    assert limiter.peek("d", 2).remaining == 0


def test_admissions_in_a_bucket_still_count_in_the_log_that_follows():
    clock = Clock()
    limiter = small(clock, max_keys=1, buckets=1)
    limiter.admit("held", 2)
    clock.now += WINDOW - 1
    assert [admits(limiter, "b", 3) for _ in range(2)] == [True, True]
    clock.now += 1
    # `held` is idle now, so `b` gets a log of its own: not one that starts afresh.
    assert [admits(limiter, "b", 3) for _ in range(2)] == [True, False]
    assert limiter.peek("b", 3).retry_after_ms == WINDOW_MS


def test_a_log_holds_no_more_than_a_window_of_admissions():
    clock = Clock()
    limiter = small(clock)
    for _ in range(10_000):
        limiter.admit("steady", 10)
        clock.now += WINDOW // 10
    assert max(len(log) for log in limiter._held.values()) <= 10


def test_a_clock_that_steps_back_frees_nobody_and_blocks_nobody_for_long():
    clock = Clock()
    limiter = small(clock)
    clock.now = 10 * WINDOW
    assert [admits(limiter, "a", 1), admits(limiter, "a", 1)] == [True, False]
    clock.now = 0
    assert not admits(limiter, "a", 1)
    assert limiter.peek("a", 1).retry_after_ms == WINDOW_MS
    clock.now = 11 * WINDOW
    assert admits(limiter, "a", 1)


def test_its_own_clock_runs():
    limiter = MemoryLimiter(60_000)
    assert [admits(limiter, "a", 2) for _ in range(3)] == [True, True, False]
    assert 59_000 < limiter.peek("a", 2).retry_after_ms <= 60_000


def test_the_policy_has_the_name_it_was_given():
    assert MemoryLimiter(1_000, policy="address").admit("a", 1).policy == "address"


def test_names_meet_in_buckets_by_a_secret():
    def met() -> tuple[bool, ...]:
        limiter = MemoryLimiter(WINDOW_MS, clock=Clock(), max_keys=0, buckets=16)
        return tuple(admits(limiter, f"name-{number}", 1) for number in range(64))

    assert len({met() for _ in range(5)}) > 1


@given(
    steps=st.lists(
        st.tuples(
            st.one_of(st.sampled_from([0, 1, WINDOW - 1, WINDOW]), st.integers(0, WINDOW)),
            st.sampled_from("abcde"),
            st.integers(1, 4),
        ),
        max_size=120,
    ),
    max_keys=st.integers(0, 4),
    buckets=st.integers(1, 3),
)
def test_no_subject_is_ever_admitted_beyond_its_limit_however_crowded_it_is(steps, max_keys, buckets):
    clock = Clock()
    limiter, times = small(clock, max_keys, buckets), {name: [] for name in "abcde"}
    for pause, name, limit in steps:
        clock.now += pause
        live = [time for time in times[name] if time > clock.now - WINDOW]
        if admits(limiter, name, limit):
            assert len(live) < limit
            times[name].append(clock.now)
        assert len(limiter) <= max_keys + buckets
