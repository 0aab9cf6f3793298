"""Collector and Jaeger that go away under a running service: it does not feel it, and queues keep their word.

Refuses to be long: the same at full length is `make stack-faults`.
"""

import signal

import pytest

from tests.conftest import MANY, SOON, TOLD
from tests.harness.service import Service
from tests.stack.real import outages
from tests.stack.real.stack import Stack

SECONDS = 4.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    with Stack(tmp_path_factory.mktemp("outages"), ("jaeger", "collector")) as running:
        yield running


@pytest.fixture(scope="module")
def asked(stack, tmp_path_factory):
    with Service(tmp_path_factory.mktemp("service"), stack.settings() | SOON | MANY) as service:
        yield service
        assert service.stop() == 0


@pytest.fixture
def tell(record_property):
    return lambda outage: record_property(TOLD, str(outage))


def test_a_collector_that_is_away_is_not_felt(stack, asked, tell):
    tell(outages.collector_away(stack, asked, SECONDS))


def test_what_waits_for_jaeger_outlives_a_collector_that_is_killed(stack, asked, tell):
    tell(outages.jaeger_away(stack, asked, SECONDS))


def test_a_collector_that_is_told_to_end_decides_first(stack, asked, tell):
    outage = outages.undecided(stack, asked, signal.SIGTERM)
    tell(outage)
    assert outage.kept == outage.promised == 2 * outages.FEW


def test_a_collector_that_is_killed_loses_what_it_had_not_decided_and_nothing_else(stack, asked, tell):
    outage = outages.undecided(stack, asked, signal.SIGKILL)
    tell(outage)
    assert outage.kept == outage.promised == outages.FEW
