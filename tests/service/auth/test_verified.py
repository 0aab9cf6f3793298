"""What is remembered of credentials: how long, how many, and what ends it."""

import pytest

from service.auth.verified import Verified

HOUR_MS = 3_600_000
NOW = 1_764_000_000_000_000


class Told:
    """A memory whose clock stands."""

    def __init__(self, stale_ms=HOUR_MS, capacity=3):
        self.now = NOW
        self.verified = Verified(lambda: self.now, stale_ms, capacity)

    def known(self, *names):
        return [name for name in names if self.verified.recall(name)]


def test_what_was_never_looked_up_is_not_known():
    assert Told().verified.recall("a") is None


def test_it_counts_for_its_time_since_the_last_look_and_no_longer():
    told = Told()
    told.verified.note("a", "found")
    told.now += HOUR_MS * 1_000 - 1
    assert told.verified.recall("a") == "found"
    told.now += 1
    assert told.verified.recall("a") is None
    told.verified.note("a", "again")
    assert told.verified.recall("a") == "again"


def test_recalling_does_not_make_it_younger():
    told = Told()
    told.verified.note("a", "found")
    for _ in range(3):
        told.now += HOUR_MS * 400
        told.verified.recall("a")
    assert told.verified.recall("a") is None


def test_a_clock_that_was_set_back_makes_it_unknown():
    told = Told()
    told.verified.note("a", "found")
    told.now -= 1
    assert told.verified.recall("a") is None


def test_beyond_the_capacity_the_one_that_was_looked_up_longest_ago_goes():
    told = Told()
    for name in ("a", "b", "c", "a", "d"):
        told.verified.note(name, name)
    assert told.known("a", "b", "c", "d") == ["a", "c", "d"]
    for number in range(1_000):
        told.verified.note(f"n{number}", "x")
    assert len(told.verified._found) == 3


def test_what_ended_is_not_known_any_more():
    told = Told()
    for name in ("ann 1", "ann 2", "bob 1"):
        told.verified.note(name, name)
    told.verified.drop("ann 1")
    told.verified.drop("nobody")
    assert told.known("ann 1", "ann 2", "bob 1") == ["ann 2", "bob 1"]
    told.verified.drop_all(lambda found: found.startswith("ann"))
    assert told.known("ann 1", "ann 2", "bob 1") == ["bob 1"]


@pytest.mark.parametrize("told", [Told(stale_ms=0)])
def test_with_no_time_nothing_is_kept(told):
    told.verified.note("a", "found")
    assert (told.verified.recall("a"), told.verified._found) == (None, {})
