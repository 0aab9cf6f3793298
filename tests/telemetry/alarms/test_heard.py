"""Lines that are alarms by themselves: told by the webhook, never as another line."""

import logging
import re
from datetime import UTC, datetime

import pytest

from telemetry import log, names
from telemetry.alarms.heard import alarm_of
from telemetry.alerts.groups import GROUPS
from telemetry.log import Line
from telemetry.spike import SPIKES
from tests.harness.hook import Hook
from tests.telemetry.alarms.days import START, Day, alarms

RULES = {alert.name: alert for group in GROUPS for alert in group.alerts}
BUDGET = {"budget": "user_day", "subject": "pseudonym-1", "spent": 0.8, "limit": 1.0}
LINES = {
    "half": (names.BUDGET_THRESHOLD, BUDGET | {"percent": 50}, "BudgetNearlySpent", "info"),
    "most": (names.BUDGET_THRESHOLD, BUDGET | {"percent": 80}, "BudgetNearlySpent", "ticket"),
    "all": (names.BUDGET_THRESHOLD, BUDGET | {"percent": 100}, "BudgetSpent", "page"),
    "journal": (names.JOURNAL_UNSAFE, {"error": "No space"}, "JournalUnsafe", "page"),
    "row": (names.SINK_FAILED, {"sink": "audit", "verb": "append", "id": "1"}, "AuditQuarantine", "ticket"),
    "verdict": (names.AUDIT_INVALID, {}, "AuditInvalid", "page"),
    "balance": (names.ALERT_FIRING, {"name": "AuditBalance", "summary": "2 rows."}, "AuditBalance", "page"),
}


@pytest.fixture(autouse=True)
def lines_are_seen(caplog):
    caplog.set_level(logging.INFO, logger="parley")


@pytest.mark.parametrize("which", LINES)
def test_a_line_is_an_alarm_of_the_rules_name_and_severity(which):
    kind, fields, name, severity = LINES[which]
    alarm = alarm_of(Line(kind, logging.WARNING, fields), START).alarm
    assert (alarm.name, alarm.severity, alarm.told) == (name, severity, {})
    assert severity in {"info", RULES[name].severity.value}
    assert RULES[name].runbook == alarm.runbook


@pytest.mark.parametrize("spike", SPIKES, ids=[spike.name for spike in SPIKES])
def test_a_spike_is_the_rule_of_its_name(spike):
    rule = RULES[spike.name]
    assert rule.severity is spike.severity
    assert re.search(rf">= {spike.floor}\n", rule.expr)
    assert rule.summary == spike.summary('{{ $value | printf "%.0f" }}')


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (names.SINK_FAILED, {"sink": "audit", "verb": "append", "waiting": 3}),
        (names.SINK_FAILED, {"sink": "mine", "id": "1"}),
        (names.ALERT_FIRING, {"name": "NetworkSpike", "summary": "x"}),
        (names.COMPLETED, {}),
    ],
    ids=["database away", "a plug-in's", "a spike's own", "a turn"],
)
def test_other_lines_are_none(kind, fields):
    assert alarm_of(Line(kind, logging.WARNING, fields), START) is None


@pytest.mark.parametrize(
    ("budget", "now", "until"),
    [
        ("user_day", "2026-02-28T23:59", "2026-03-01T00:00"),
        ("role_month", "2026-12-31T10:00", "2027-01-01T00:00"),
        ("total_month", "2026-01-31T00:00", "2026-02-01T00:00"),
    ],
)
def test_a_budgets_alarm_ends_with_its_day_or_month(budget, now, until):
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC).timestamp()
    fields = BUDGET | {"budget": budget, "percent": 80}
    heard = alarm_of(Line(names.BUDGET_THRESHOLD, logging.WARNING, fields), moment)
    assert datetime.fromtimestamp(heard.until, UTC) == datetime.fromisoformat(until).replace(tzinfo=UTC)


async def test_lines_are_told_by_the_webhook_once_and_as_no_line(tmp_path, caplog):
    with Hook() as hook:
        day = Day(tmp_path, webhook=hook.url)
        await day.sink.start()
        day.clock.now += 1
        log.say(names.JOURNAL_UNSAFE, logging.WARNING, error="\ud800 No space")
        log.say(names.BUDGET_THRESHOLD, logging.WARNING, **BUDGET, percent=80)
        await day.pass_by(10)
        log.say(names.JOURNAL_UNSAFE, logging.WARNING, error="No space")
        await day.pass_by(5)
        log.say(names.JOURNAL_MENDED)
        await day.pass_by(60 * 24)
        await day.sink.stop()
    told = [(got.said["status"], got.said["commonLabels"]["alertname"]) for got in hook.got]
    assert told == [
        ("firing", "JournalUnsafe"),
        ("firing", "BudgetNearlySpent"),
        ("resolved", "JournalUnsafe"),
        ("resolved", "BudgetNearlySpent"),
    ]
    labels = hook.got[1].said["commonLabels"]
    assert (labels["budget"], labels["subject"], labels["percent"]) == ("user_day", "pseudonym-1", "80")
    assert alarms(caplog) == []


async def test_nothing_is_heard_after_the_stop(tmp_path):
    day = Day(tmp_path)
    await day.sink.start()
    await day.sink.stop()
    log.say(names.JOURNAL_UNSAFE, logging.WARNING, error="No space")
    assert not day.sink._ear.heard
