from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.limits.counts import Log
from service.limits.demand import MOST_COUNTED, Kind, Part, Rule
from service.limits.state import Moment

MS = 1_000_000
RULE = Rule(name="role", kind=Kind.COUNT, limit=2, window_ms=1)
PART = Part(rule=RULE, subject="a")


def log(*times: int, limit: int = 2) -> Log:
    return Log(Rule(name="role", kind=Kind.COUNT, limit=limit, window_ms=1), times=array("q", times))


@pytest.mark.parametrize(
    ("times", "now", "wait"),
    [
        ((), 0, 0),
        ((5,), 5, 0),
        ((5, 5), 5, MS),
        ((5, 7), 5 + MS - 1, 1),
        ((5, 7), 5 + MS, 0),
        ((5, 6, 7), 8, MS - 2),
    ],
)
def test_an_admission_counts_for_a_window_to_the_nanosecond(times, now, wait):
    assert log(*times).wait(PART, Moment(now, "")) == wait


def test_waits_are_told_in_whole_milliseconds_rounded_up():
    standing = log(0, 1).stand(RULE, 1, MS - 1)
    assert (standing.remaining, standing.reset_ms, standing.wait_ms) == (0, 1, 1)


def test_only_times_within_the_window_are_kept():
    kept = log(0, 1, 2, MS)
    kept.wait(PART, Moment(MS + 1, ""))
    assert list(kept.times) == [2, MS]


def test_one_from_the_past_takes_its_place():
    kept = log(5, 9)
    kept.take(PART, Moment(7, ""))
    assert list(kept.times) == [5, 7, 9]


def test_no_more_are_kept_than_any_limit_counts():
    kept = log()
    for now in range(MOST_COUNTED + 5):
        kept.take(PART, Moment(now, ""))
    assert (len(kept.times), kept.times[0]) == (MOST_COUNTED, 5)


TIMES = st.lists(st.integers(0, 40), max_size=12).map(sorted)


def counting(times: list[int], after: int) -> int:
    return sum(1 for time in times if time > after)


@given(several=st.lists(TIMES, min_size=1, max_size=4), after=st.integers(-1, 41))
def test_of_several_logs_the_least_counts_as_the_one_that_has_least_then(several, after):
    least = Log.least([log(*times) for times in several], RULE, 0)
    assert counting(list(least.times), after) == min(counting(times, after) for times in several)


@given(one=TIMES, other=TIMES, after=st.integers(-1, 41))
def test_a_log_that_covers_another_counts_as_the_one_that_has_most_then(one, other, after):
    covering = log(*one)
    covering.cover(log(*other))
    assert counting(list(covering.times), after) == max(counting(one, after), counting(other, after))
    assert list(covering.times) == sorted(covering.times)
