"""Quantiles as Prometheus finds them (promql/quantile.go), by hand-reckoned examples."""

import pytest

from service.web.operations.quantiles import Histogram

BOUNDS = (1.0, 2.0, 4.0)


def histogram(*numbers):
    return Histogram(BOUNDS, list(numbers))


@pytest.mark.parametrize(
    ("numbers", "part", "expected"),
    [
        ((0, 0, 0, 0), 0.5, None),
        ((4, 0, 0, 0), 0.5, 0.5),
        ((0, 4, 0, 0), 0.5, 1.5),
        ((0, 4, 0, 0), 1.0, 2.0),
        ((1, 1, 2, 0), 0.5, 2.0),
        ((1, 1, 2, 0), 0.75, 3.0),
        ((0, 0, 0, 3), 0.5, 4.0),
        ((2, 0, 0, 2), 0.5, 1.0),
        ((2, 0, 0, 2), 0.51, 4.0),
    ],
    ids=str,
)
def test_a_quantile(numbers, part, expected):
    assert histogram(*numbers).quantile(part) == expected


def test_histograms_are_added_up():
    whole = Histogram(BOUNDS)
    whole.merge(histogram(1, 0, 2, 0))
    whole.merge(histogram(0, 3, 0, 4))
    whole.add(0, 5)
    assert (whole.numbers, whole.count) == ([6, 3, 2, 4], 15)
