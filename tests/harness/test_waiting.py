"""Waiting returns what it waited for and fails with what was seen."""

import pytest

from tests.harness.waiting import wait


def test_returns_the_first_truthy_answer():
    answers = iter([0, "", None, "there", "later"])
    assert wait(lambda: next(answers)) == "there"


def test_asks_once_even_without_time():
    assert wait(lambda: 7, 0) == 7


def test_fails_with_what_was_seen():
    with pytest.raises(AssertionError, match=r"still not so after 0 s; seen:\ntwo cats"):
        wait(lambda: False, 0, seen=lambda: "two cats")


def test_an_error_of_the_condition_is_not_waited_out():
    with pytest.raises(ZeroDivisionError):
        wait(lambda: 1 / 0)
