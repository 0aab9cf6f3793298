"""The measure of time itself: t is what it is by hand, and a difference is seen where there is one."""

import random

import pytest

from service.auth.keys import FORM
from tests.bench.timing import HELD, MADE, NOTICED, RIGHT, STRANGE, cropped, early, far, near, token, welch


def test_t_is_what_it_is_by_hand():
    # means 2 and 4, variances 1 and 4, three each: -2 / sqrt(1/3 + 4/3)
    assert welch([1, 2, 3], [2, 4, 6]) == pytest.approx(-1.549193, rel=1e-6)
    assert welch([5, 5], [5, 5]) == 0


def test_a_difference_is_seen_and_none_is_not():
    dice = random.Random(1)  # noqa: S311 - examples
    draw = lambda mean: [round(dice.gauss(mean, 100)) for _ in range(5_000)]  # noqa: E731 - one line
    assert max(map(abs, cropped(draw(1_000), draw(1_000)))) < NOTICED
    assert max(map(abs, cropped(draw(1_000), draw(1_020)))) > NOTICED


def test_a_few_that_were_interrupted_hide_no_difference():
    dice = random.Random(1)  # noqa: S311 - examples
    draw = lambda mean: [round(dice.gauss(mean, 20)) for _ in range(5_000)]  # noqa: E731 - one line
    slow = [10_000_000] * 10
    assert abs(welch([*draw(1_000), *slow], draw(1_010))) < NOTICED
    assert max(map(abs, cropped([*draw(1_000), *slow], draw(1_010)))) > NOTICED


def test_the_classes_are_what_they_are_called():
    for _ in range(50):
        nearly, other, strange = near(), far(), far(STRANGE)
        for text in (nearly, other, strange):
            assert (FORM.fullmatch(text)["id"] in HELD) is (text is not strange)
        secret = RIGHT[FORM.fullmatch(nearly)["id"]]
        assert [one == each for one, each in zip(nearly[-64:], secret, strict=True)].count(False) == 1
        assert (early(nearly), early(other), early(MADE[0].key)) == (False, False, True)
    assert len(token(0)) == len(token(40)) == len(token(43))
