"""An alarm, and how it is told: as a log line, and as Alertmanager tells its webhooks.

Refuses whatever names a person: labels are categories, budgets and pseudonyms.
"""

from collections.abc import Mapping
from logging import INFO, WARNING
from typing import Any

import msgspec
from msgspec import Struct

from telemetry import names
from telemetry.log import Line
from telemetry.spike import RUNBOOK
from telemetry.timestamp import timestamp

RECEIVER = JOB = "parley"
GROUPED_BY = ("alertname", "job")
NEVER = "0001-01-01T00:00:00Z"
"""What Alertmanager says of the end of what goes on."""
FNV_START, FNV_PRIME, FNV_SIZE = 0xCBF29CE484222325, 0x100000001B3, 1 << 64


class Alarm(Struct, frozen=True, kw_only=True):
    """What somebody has to look at; the same labels from every process and host, so that receivers know it.

    `told` is the line's numbers; empty where another line has told it already.
    """

    name: str
    severity: str
    summary: str
    more: dict[str, str]
    told: dict[str, float | str] = {}

    @property
    def labels(self) -> dict[str, str]:
        """All of them, in order."""
        known = {"alertname": self.name, "job": JOB, "severity": self.severity, **self.more}
        return dict(sorted(known.items()))

    @property
    def fingerprint(self) -> str:
        """What Prometheus and Alertmanager call a set of labels: FNV-1a of them."""
        return f"{_fnv(self.labels):016x}"

    @property
    def runbook(self) -> str:
        """Where its advice stands."""
        return f"{RUNBOOK}#{self.name.lower()}"


class Notice(Struct, frozen=True, kw_only=True):
    """An alarm that stands since a moment, or stood until one; seconds since 1970."""

    alarm: Alarm
    started: float
    ended: float | None = None

    @property
    def status(self) -> str:
        """In Alertmanager's words."""
        return "firing" if self.ended is None else "resolved"


def line(notice: Notice) -> Line | None:
    """The one line that tells it; None where its cause has a line of its own."""
    alarm = notice.alarm
    if not alarm.told:
        return None
    fields: dict[str, Any] = {
        "name": alarm.name,
        **alarm.more,
        "severity": alarm.severity,
        **alarm.told,
        "summary": alarm.summary,
        "runbook": alarm.runbook,
        "startedAt": _time(notice.started),
    }
    if notice.ended is None:
        return Line(names.ALERT_FIRING, WARNING, fields)
    return Line(names.ALERT_RESOLVED, INFO, fields)


def payload(notice: Notice) -> bytes:
    """What a webhook of Alertmanager gets, version 4, of one alert."""
    alarm = notice.alarm
    labels, grouped = alarm.labels, {name: alarm.labels[name] for name in GROUPED_BY}
    annotations = {"runbook": alarm.runbook, "summary": alarm.summary}
    one = {
        "status": notice.status,
        "labels": labels,
        "annotations": annotations,
        "startsAt": _time(notice.started),
        "endsAt": NEVER if notice.ended is None else _time(notice.ended),
        "generatorURL": "",
        "fingerprint": alarm.fingerprint,
    }
    said: Mapping[str, Any] = {
        "receiver": RECEIVER,
        "status": notice.status,
        "alerts": [one],
        "groupLabels": grouped,
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "",
        "version": "4",
        "groupKey": "{}:{" + ", ".join(f'{name}="{value}"' for name, value in grouped.items()) + "}",
        "truncatedAlerts": 0,
    }
    return msgspec.json.encode(said)


def _time(seconds: float) -> str:
    return timestamp(round(seconds * 1_000_000))


def _fnv(labels: Mapping[str, str]) -> int:
    """As github.com/prometheus/common reckons it: names and values in order, each followed by 255."""
    found = FNV_START
    for name, value in labels.items():
        for byte in (*name.encode(), 255, *value.encode("utf-8", "surrogatepass"), 255):
            found = ((found ^ byte) * FNV_PRIME) % FNV_SIZE
    return found
