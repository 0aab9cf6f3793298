"""Guesses by address: a burst, then evenly; one address's are nobody else's."""

import pytest

from service.auth import guessing
from service.auth.guessing import Guesses


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def burst(guesses, address="a"):
    """How many may be wrong until it is held off."""
    for number in range(1, 1_000):
        guesses.missed(address)
        if guesses.wait(address):
            return number
    return None


@pytest.mark.parametrize("most", [1, 5, 200])
def test_a_burst_may_be_wrong_and_no_more(clock, most):
    guesses = Guesses(most, clock)
    assert burst(guesses) == most
    assert guesses.wait("a") == pytest.approx(60 / most)
    assert guesses.wait("b") == 0
    clock.now += 60 / most + 0.001
    assert guesses.wait("a") == 0
    assert burst(guesses) == 1
    clock.now += 61
    assert burst(guesses) == most


def test_it_is_told_once_that_somebody_is_held_off(clock):
    guesses = Guesses(3, clock)
    assert [guesses.missed("a") for _ in range(6)] == [False, False, True, False, False, False]


def test_evenly_no_more_than_so_many_a_minute_for_ever(clock):
    guesses, tried = Guesses(10, clock), 0
    for _ in range(6_000):
        if not guesses.wait("a"):
            guesses.missed("a")
            tried += 1
        clock.now += 0.1
    assert 10 + 95 <= tried <= 10 + 101


def test_nobody_is_held_off_where_that_is_wished(clock):
    assert burst(Guesses(0, clock)) is None


def test_addresses_are_forgotten_in_their_order(clock, monkeypatch):
    monkeypatch.setattr(guessing, "CAPACITY", 3)
    guesses = Guesses(1, clock)
    for address in "abcd":
        guesses.missed(address)
    assert [bool(guesses.wait(address)) for address in "abcd"] == [False, True, True, True]
    assert len(guesses._held) == 3


def test_nobody_has_to_wait_once_those_who_had_to_are_through(clock):
    guesses = Guesses(2, clock)
    assert not guesses.anybody()
    for address in "aab":
        guesses.missed(address)
    assert guesses.anybody()
    clock.now += 30.001
    assert not guesses.anybody()
    assert guesses._held == {}
