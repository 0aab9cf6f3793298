"""The alert rules: read and tried by Prometheus's own tool, and about metrics that are really emitted."""

import re
import subprocess
from pathlib import Path

import pytest

from telemetry import names
from tests.harness.need import need

ALERTS = Path(__file__).parents[2] / "telemetry" / "alerts"
RULES = sorted(path.name for path in ALERTS.glob("*.yml") if not path.name.endswith(".test.yml"))
SUFFIXES = ("", "_total", "_ratio")
EMITTED = {
    value.replace(".", "_") + suffix
    for value in vars(names).values()
    if isinstance(value, str) and value.startswith(("parley.", "gen_ai."))
    for suffix in SUFFIXES
}
"""Metrics by the names that Prometheus has for them."""


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = need("promtool", why="it reads the alert rules")
    return subprocess.run((program, *arguments), cwd=ALERTS, capture_output=True, text=True, check=False)


def test_there_are_rules():
    assert RULES


@pytest.mark.parametrize("name", RULES)
def test_prometheus_reads_the_rules(name):
    done = promtool("check", "rules", name)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", RULES)
def test_the_rules_fire_when_they_should_and_only_then(name):
    done = promtool("test", "rules", name.replace(".yml", ".test.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", RULES)
def test_the_rules_are_about_metrics_that_are_emitted(name):
    used = set(re.findall(r"\b(?:parley|gen_ai)_\w+", (ALERTS / name).read_text()))
    assert used
    assert used <= EMITTED


@pytest.mark.parametrize("name", RULES)
def test_every_alert_is_tried_and_says_what_to_do(name):
    rules, tried = (ALERTS / name).read_text(), (ALERTS / name.replace(".yml", ".test.yml")).read_text()
    alerts = re.findall(r"- alert: (\w+)", rules)
    assert [rules.count(f"{word}:") for word in ("severity", "summary", "runbook")] == [len(alerts)] * 3
    for alert in alerts:
        assert re.search(rf"alertname: {alert}\s+exp_alerts:\s+- ", tried), alert
