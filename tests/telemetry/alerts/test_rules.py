"""The rules, tried by Prometheus's own tool: each fires when it should, and only then."""

from itertools import chain
from pathlib import Path

import pytest

from tests.telemetry.alerts import access, answered, audit, collector, growth, limits, spikes, traffic
from tests.telemetry.alerts.trial import ALERTS, Case, tried

CASES = tuple(
    chain.from_iterable(
        room.CASES for room in (spikes, access, answered, traffic, limits, audit, growth, collector)
    )
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_alerts_stand_when_they_should_and_only_then(case: Case, tmp_path: Path):
    done = tried(case, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tried_firing_and_silent():
    fired = {name for case in CASES for (_, name), stands in case.expected.items() if stands}
    held = {name for case in CASES for (_, name), stands in case.expected.items() if not stands}
    assert fired == held == set(ALERTS)


def test_a_trial_can_fail(tmp_path: Path):
    wrong = next(case for case in CASES if case.name == "a queue that fills")
    late = Case(
        name="late",
        groups=wrong.groups,
        series=wrong.series,
        expected={("10m", "CollectorQueueing"): ()},
    )
    assert tried(late, tmp_path).returncode != 0
