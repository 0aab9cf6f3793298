"""Log lines that are alarms by themselves: the audit's, the journal's, the budgets'.

Refuses to tell them a second time as lines: only the webhook hears of them.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from telemetry import names
from telemetry.alarms.alarm import Alarm
from telemetry.log import Line, printable
from telemetry.spike import Severity

CAPACITY = 100
"""Lines that wait to be looked at; of more within seconds the oldest give way."""
QUARTER, HOUR = 900, 3_600
ALL = 100
MOST = 80
"""Percent of a budget."""
AUDIT, BALANCE = "audit", "AuditBalance"


class Heard(Struct, frozen=True, kw_only=True):
    """An alarm that a line told at a moment, and until when it stands; seconds since 1970."""

    alarm: Alarm
    at: float
    until: float


class Ear(logging.Handler):
    """Hears our own lines. `heard` may be read by another thread. `clock` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(logging.INFO)
        self.heard: deque[Heard] = deque(maxlen=CAPACITY)
        self._clock = clock

    def emit(self, record: logging.LogRecord) -> None:
        """Remember a line that is an alarm."""
        line = getattr(record, "line", None)
        if isinstance(line, Line) and (found := alarm_of(line, self._clock())):
            self.heard.append(found)


def alarm_of(line: Line, now: float) -> Heard | None:
    """The alarm that a line is, if it is one."""
    read = READERS.get(line.type)
    return read(printable(line.fields), now) if read else None


def _budget(fields: Mapping[str, Any], now: float) -> Heard:
    """It stands until the day or the month is over (UTC)."""
    percent, budget = fields["percent"], str(fields["budget"])
    severity = Severity.PAGE if percent >= ALL else Severity.TICKET if percent >= MOST else Severity.INFO
    used = f"{fields['spent']} of {fields['limit']} dollars"
    subject = {"subject": str(fields["subject"])} if fields.get("subject") else {}
    alarm = Alarm(
        name="BudgetSpent" if percent >= ALL else "BudgetNearlySpent",
        severity=severity.value,
        summary=f"{percent} % of the budget {budget} is used: {used}.",
        more={"budget": budget, "percent": str(percent), **subject},
    )
    return Heard(alarm=alarm, at=now, until=_end_of(budget.rpartition("_")[2], now))


def _end_of(period: str, now: float) -> float:
    moment = datetime.fromtimestamp(now, UTC)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "month":
        december = day.month == 12  # noqa: PLR2004 - the last one
        return day.replace(year=day.year + december, month=day.month % 12 + 1, day=1).timestamp()
    return day.timestamp() + 24 * HOUR


def _journal(fields: Mapping[str, Any], now: float) -> Heard:
    return _of_audit(
        "JournalUnsafe", Severity.PAGE, f"The journal is not safe: {fields['error']}", now, QUARTER
    )


def _mended(fields: Mapping[str, Any], now: float) -> Heard:
    del fields
    return _of_audit("JournalUnsafe", Severity.PAGE, "The journal can be written again.", now, 0)


def _sink(fields: Mapping[str, Any], now: float) -> Heard | None:
    """A row that was put aside is the one failure of the audit that names a row."""
    if fields.get("sink") != AUDIT or "id" not in fields:
        return None
    said = f"The audit row {fields['id']} was put aside: the database refuses it."
    return _of_audit("AuditQuarantine", Severity.TICKET, said, now, HOUR)


def _invalid(fields: Mapping[str, Any], now: float) -> Heard:
    """It is verified once a day; a bad verdict stands until the next one is due."""
    del fields
    return _of_audit("AuditInvalid", Severity.PAGE, "The audit log is not what was signed.", now, 25 * HOUR)


def _firing(fields: Mapping[str, Any], now: float) -> Heard | None:
    return _balance(fields, now, QUARTER)


def _resolved(fields: Mapping[str, Any], now: float) -> Heard | None:
    return _balance(fields, now, 0)


def _balance(fields: Mapping[str, Any], now: float, seconds: float) -> Heard | None:
    """The audit's own alarm; those of spikes are told by who says them."""
    if fields.get("name") != BALANCE:
        return None
    return _of_audit(BALANCE, Severity.PAGE, str(fields["summary"]), now, seconds)


def _of_audit(name: str, severity: Severity, said: str, now: float, seconds: float) -> Heard:
    alarm = Alarm(name=name, severity=severity.value, summary=said, more={})
    return Heard(alarm=alarm, at=now, until=now + seconds)


READERS: Mapping[str, Callable[[Mapping[str, Any], float], Heard | None]] = MappingProxyType(
    {
        names.BUDGET_THRESHOLD: _budget,
        names.JOURNAL_UNSAFE: _journal,
        names.JOURNAL_MENDED: _mended,
        names.SINK_FAILED: _sink,
        names.AUDIT_INVALID: _invalid,
        names.ALERT_FIRING: _firing,
        names.ALERT_RESOLVED: _resolved,
    }
)
