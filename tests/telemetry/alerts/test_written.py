"""What is committed is what the generator writes; Prometheus reads it; it is about what is emitted."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from config.env import PLACES
from service.cli.commands import parser
from telemetry import names, prometheus
from telemetry.alerts.groups import GROUPS
from telemetry.alerts.rule import Alert, Recording
from telemetry.alerts.rules_file import as_yaml
from telemetry.alerts.runbook import as_markdown
from telemetry.alerts.scale import scaled
from telemetry.failure import Category, Fault
from telemetry.record import Decision, Outcome
from tests.harness.sql import ask
from tests.telemetry.alerts.trial import ALERTS, promtool

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "telemetry" / "alerts"
RULES, RUNBOOK = as_yaml(GROUPS), as_markdown(GROUPS)
RECORDED = {rule.name for group in GROUPS for rule in group.rules if isinstance(rule, Recording)}
ASKED = [rule.expr for group in GROUPS for rule in group.rules] + [
    alert.advice.look for alert in ALERTS.values()
]
OTHERS = {"otlp_grpc", "otelcol_"}
CLOSED = {
    "category": set(Category),
    "fault": set(Fault),
    "outcome": set(Outcome),
    "decision": set(Decision),
    "type": set(names.LOG_TYPES),
    "result": {"valid", "invalid"},
}
"""Labels whose values are known."""


def test_the_committed_files_are_the_generators():
    assert (COMMITTED / "rules.yml").read_text() == RULES
    assert (COMMITTED / "RUNBOOK.md").read_text() == RUNBOOK


@pytest.mark.parametrize("scale", [1, 60, 7.5])
def test_prometheus_reads_the_rules(scale: float, tmp_path: Path):
    (tmp_path / "rules.yml").write_text(as_yaml(GROUPS, scale))
    done = promtool("check", "rules", "rules.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_reads_the_runbooks_queries(tmp_path: Path):
    looks = [f"  - record: look:{name}\n    expr: |-\n      {a.advice.look}" for name, a in ALERTS.items()]
    (tmp_path / "rules.yml").write_text("groups:\n- name: looks\n  rules:\n" + "\n".join(looks))
    done = promtool("check", "rules", "rules.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_about_metrics_that_are_emitted():
    for expr in ASKED:
        named = set(
            re.findall(r"(?<![:\w])(?:parley|gen_ai)_\w+(?=[{\[) ]|$)", re.sub(r"\bby \(.*?\)", "", expr))
        )
        assert named <= prometheus.every_series(), expr
        assert set(re.findall(r"\b\w+:\w+:\w+", expr)) <= RECORDED, expr


def test_the_rules_ask_for_label_values_that_are_told():
    for expr in ASKED:
        for label, _, said in re.findall(r"\b(\w+)(=~|!=|=)[\"']([^\"']*)[\"']", expr):
            if label in CLOSED:
                assert set(said.split("|")) <= CLOSED[label], expr


def test_every_category_has_a_spike():
    spiking = {
        category
        for name, alert in ALERTS.items()
        for category in re.findall(r'category="(\w+)"', alert.expr)
        if name.endswith(("Spike", "Guessing"))
    }
    assert spiking == set(Category)


@pytest.mark.parametrize("alert", ALERTS.values(), ids=ALERTS)
def test_every_alert_says_a_number_in_one_sentence_and_where_to_read_on(alert: Alert):
    assert "$value" in alert.summary or re.search(r"\d", alert.summary)
    assert alert.summary.endswith(".")
    page, _, anchor = alert.runbook.partition("#")
    assert (ROOT / page).exists()
    headings = {line[3:].lower() for line in (ROOT / page).read_text().splitlines() if line.startswith("## ")}
    assert anchor in headings
    assert alert.advice.means
    assert alert.advice.look
    assert alert.advice.run
    assert alert.advice.do


def test_tags_to_search_by_are_attributes_of_spans():
    known = {value for value in vars(names).values() if isinstance(value, str)}
    tags = {alert.advice.trace.partition("=")[0] for alert in ALERTS.values() if alert.advice.trace}
    assert tags <= known


def said(alert: Alert) -> list[str]:
    return alert.advice.run.split("\n")


COMMANDS = sorted({line for alert in ALERTS.values() for line in said(alert) if line.startswith("parley ")})
STATEMENTS = sorted({line for alert in ALERTS.values() for line in said(alert) if line.startswith("SELECT ")})


@pytest.mark.parametrize("command", COMMANDS)
def test_the_runbooks_commands_are_understood(command: str):
    assert parser().parse_args(command.split()[1:]).run


def test_the_runbooks_statements_are_understood(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/parley.db"
    environment = {"DATABASE_URL": url, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    command = (sys.executable, "-m", "service", "migrate")
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    assert STATEMENTS
    for statement in STATEMENTS:
        assert ask(url, statement) == []


def test_the_runbook_names_settings_that_exist():
    named = set(re.findall(r"AGENT_[A-Z_]+[A-Z]", RUNBOOK))
    known = {place.variable.name for place in PLACES}
    assert {name for name in named if not any(each.startswith(name) for each in known)} == set()


def test_a_scale_shortens_every_duration_and_nothing_else():
    expr = "increase(a5m:x1h[5m] offset 1w) > 5 and b > seconds(2h) # in 30s, 10 of 1d"
    assert scaled(expr, 60) == "increase(a5m:x1h[5s] offset 168m) > 5 and b > 120 # in 500ms, 10 of 24m"
    assert scaled(expr, 1) == expr.replace("seconds(2h)", "7200")
    with pytest.raises(ValueError, match="above 0"):
        scaled(expr, 0)


def test_shortened_rules_go_elsewhere(tmp_path: Path):
    command = (sys.executable, "-m", "telemetry.alerts", "--scale", "60")
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert (COMMITTED / "rules.yml").read_text() == RULES
    subprocess.run((*command, "--into", str(tmp_path / "new")), cwd=ROOT, check=True)
    assert (tmp_path / "new" / "rules.yml").read_text() == as_yaml(GROUPS, 60)
