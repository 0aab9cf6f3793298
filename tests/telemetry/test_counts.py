"""Sums that are told when metrics are collected."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from telemetry.counts import Count
from tests.harness.sdk import _reader, series


def sums(name):
    return {frozenset(labels.items()): point.value for labels, point in series(name)}


@pytest.fixture
def count(request):
    """A counter of this test's own."""
    return Count(f"test.{request.node.name}", "{thing}", "Things")


@pytest.fixture
def name(request):
    return f"test.{request.node.name}"


def test_what_was_not_counted_has_no_series(count, name):
    assert count
    assert series(name) == []


def test_each_labels_have_a_sum_in_whatever_order_they_are_named(count, name):
    count.add(0, {"a": "x", "b": "y"})
    assert sums(name) == {frozenset({("a", "x"), ("b", "y")}): 0}
    count.add(2, {"b": "y", "a": "x"})
    count.add(0.5, {"a": "x", "b": "y"})
    count.add(1, {"a": "z"})
    count.add(3)
    assert sums(name) == {
        frozenset({("a", "x"), ("b", "y")}): 2.5,
        frozenset({("a", "z")}): 1,
        frozenset(): 3,
    }
    assert sums(name)[frozenset()] == 3, "to be told takes nothing away"


def test_a_counter_is_one_and_what_may_fall_is_none(count, name):
    falling = Count(f"{name}.falling", "{thing}", "Things that are there", falls=True)
    count.add(1)
    falling.add(2)
    falling.add(-1)
    ((_, point),) = series(f"{name}.falling")
    assert point.value == 1
    ours = {metric.name: metric for metric in collected() if metric.name.startswith(name)}
    kinds = [(each.data.is_monotonic, each.unit) for each in (ours[name], ours[f"{name}.falling"])]
    assert kinds == [(True, "{thing}"), (False, "{thing}")]


def collected():
    return [
        metric
        for resource in _reader().get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    ]


def test_threads_lose_nothing(count, name):
    with ThreadPoolExecutor(4) as threads:
        for each in [threads.submit(lambda: [count.add(1) for _ in range(2_000)]) for _ in range(4)]:
            each.result()
    assert sums(name) == {frozenset(): 8_000}


def test_a_process_that_is_forked_off_starts_at_nothing(count):
    count.add(5)
    child = os.fork()
    if not child:
        os._exit(len(count._sums))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(count._sums) == 1
