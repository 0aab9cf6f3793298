"""Adversaries of the limits, for a short time; `make limits` has them for long."""

import tracemalloc
from array import array

import pytest

from service.limits.demand import Kind, Rule
from tests.faults.limit_flood import fewest_in_a_window, flood
from tests.faults.limit_windows import Entry, Report, check
from tests.faults.limits import Round, rule


@pytest.mark.parametrize("max_keys", [100_000, 8], ids=["roomy", "crowded"])
async def test_a_hundred_thousand_decisions(max_keys):
    report = await Round(20, 100_000, max_keys).run()
    assert report.faults == []
    assert report.admitted > 10_000
    # they went as far as they could
    assert report.fullest["count"] == report.fullest["lease"] == 1


@pytest.mark.parametrize("limit", [1, 7, 200])
async def test_who_asks_all_the_time_gets_the_whole_limit_of_a_count_in_every_window(limit):
    assert await fewest_in_a_window(rule(Kind.COUNT, limit)) >= limit - 1


@pytest.mark.parametrize("limit", [5, 9, 1_000])
async def test_who_asks_all_the_time_gets_four_fifths_of_the_tokens_in_every_window(limit):
    assert await fewest_in_a_window(rule(Kind.QUANTITY, limit)) >= 0.8 * limit


async def test_a_flood_of_keys():
    found = await flood(300_000)
    assert found.faults == []
    assert found.held <= 100_000 + 3 * 1_024


async def test_a_flood_takes_64_megabytes_at_most():
    tracemalloc.start()
    try:
        await flood(110_000)
        assert tracemalloc.get_traced_memory()[1] < 64e6
    finally:
        tracemalloc.stop()


def entry(one: Rule, *logged: tuple[int, int, int]) -> Entry:
    return Entry(one, *(array("q", numbers) for numbers in zip(*logged, strict=True)))


@pytest.mark.parametrize(
    ("kind", "logged", "faults"),
    [
        (Kind.COUNT, [(0, 1, 9), (5, 1, 9), (1_000_000, 1, 9)], 0),
        (Kind.COUNT, [(0, 1, 9), (5, 1, 9), (999_999, 1, 9)], 1),
        (Kind.QUANTITY, [(0, 2, 9), (1_000_000, 2, 9)], 0),
        (Kind.QUANTITY, [(0, 2, 9), (999_999, 1, 9)], 1),
        (Kind.LEASE, [(0, 1, 5), (1, 1, 9), (5, 1, 9)], 0),
        (Kind.LEASE, [(0, 1, 6), (1, 1, 9), (5, 1, 9)], 1),
    ],
)
def test_the_checker_sees_what_is_one_too_many(kind, logged, faults):
    report = Report()
    check({("rule", "a"): entry(rule(kind, 2, window_ms=1), *logged)}, report)
    assert len(report.faults) == faults
