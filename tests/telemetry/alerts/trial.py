"""One trial of alert rules by promtool: series go in, and at some moments exactly these alerts stand."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from telemetry.alerts.groups import GROUPS
from telemetry.alerts.rules_file import as_yaml
from tests.harness.need import need

ALERTS = {alert.name: alert for group in GROUPS for alert in group.alerts}
EVERYTHING = tuple(group.name for group in GROUPS)


class Fired(Struct, frozen=True):
    """An alert that stands. Its summary is written out, so that the number in it is tested."""

    severity: str
    summary: str
    labels: Mapping[str, str]


def page(summary: str, **labels: str) -> Fired:
    return Fired("page", summary, labels)


def ticket(summary: str, **labels: str) -> Fired:
    return Fired("ticket", summary, labels)


def info(summary: str, **labels: str) -> Fired:
    return Fired("info", summary, labels)


Expected = Mapping[tuple[str, str], Sequence[Fired]]
"""(moment, alert) -> what stands; nothing is silence."""


class Case(Struct, frozen=True, kw_only=True):
    name: str
    groups: Sequence[str]
    series: Mapping[str, str]
    expected: Expected
    interval: str = "30s"
    every: str = "30s"
    """How often promtool evaluates; it does not heed a group's own interval."""


def silent(moment: str, *alerts: str) -> dict[tuple[str, str], tuple[Fired, ...]]:
    return {(moment, alert): () for alert in alerts or ALERTS}


def promtool(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    program = need("promtool", why="it reads and tries the alert rules")
    return subprocess.run((program, *arguments), cwd=cwd, capture_output=True, text=True, check=False)


def tried(case: Case, folder: Path) -> subprocess.CompletedProcess[str]:
    rules = as_yaml(group for group in GROUPS if group.name in case.groups)
    (folder / "rules.yml").write_text(rules)
    (folder / "test.yml").write_text(json.dumps(written(case)))
    return promtool("test", "rules", "test.yml", cwd=folder)


def written(case: Case) -> dict[str, Any]:
    series = [{"series": series, "values": values} for series, values in case.series.items()]
    expected = [
        {"eval_time": moment, "alertname": name, "exp_alerts": [standing(name, each) for each in fired]}
        for (moment, name), fired in case.expected.items()
    ]
    test = {"name": case.name, "interval": case.interval, "input_series": series, "alert_rule_test": expected}
    return {"rule_files": ["rules.yml"], "evaluation_interval": case.every, "tests": [test]}


def standing(name: str, fired: Fired) -> dict[str, Any]:
    return {
        "exp_labels": {"severity": fired.severity, **fired.labels},
        "exp_annotations": {"summary": fired.summary, "runbook": ALERTS[name].runbook},
    }
