"""The board in one line: all is well, or what is not, the worst first.

Refuses to call anything well that an alarm says is not, and to wake anybody for what only is to be seen.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from service.web.health import Dependency
from service.web.operations.views import (
    AuditState,
    BoardItem,
    BoardStatus,
    BudgetAccount,
    ErrorCounts,
    ErrorSpike,
    FiringAlert,
    Level,
)
from telemetry.spike import Severity

FULL, NEARLY = 1.0, 0.8
STALE = 300_000_000
"""Microseconds after which a checkpoint is overdue, as the alert has it."""
LEVELS: Mapping[str, Level] = {Severity.PAGE: "bad", Severity.TICKET: "watch"}
"""What an alarm of a severity makes of the board; what is only shown makes nothing of it."""


def status_of(items: Iterable[BoardItem]) -> BoardStatus:
    """The line."""
    found = sorted(items, key=lambda item: item.level != "bad")
    level: Level = found[0].level if found else "well"
    return BoardStatus(level=level, items=tuple(found))


def of_alerts(alerts: Sequence[FiringAlert], errors: ErrorCounts) -> Iterator[BoardItem]:
    """Alarms that stand, and spikes that go on of which no alarm here knows yet."""
    for alert in alerts:
        yield from _alarm(alert.severity, alert.summary, "alerts")
    known = {alert.name for alert in alerts}
    for spike in errors.spikes:
        if spike.until is None and spike.name not in known:
            yield from _alarm(spike.severity, _words(spike), "errors")


def of_dependencies(dependencies: Mapping[str, Dependency]) -> Iterator[BoardItem]:
    """Those that are not up."""
    for name, each in dependencies.items():
        if each.status != "up":
            level = "bad" if each.status == "not_ready" else "watch"
            yield BoardItem(level=level, words=f"{name} is {each.status}: {each.detail}", part="dependencies")


def of_audit(audit: AuditState, *, overdue: bool) -> Iterator[BoardItem]:
    """Whether the record is as it should be."""
    if audit.valid is False:
        yield BoardItem(level="bad", words="The audit log is not what was signed.", part="audit")
    if audit.fault:
        yield BoardItem(level="bad", words=audit.fault, part="audit")
    if audit.quarantined:
        yield BoardItem(level="watch", words=f"Audit rows put aside: {audit.quarantined}.", part="audit")
    if overdue:
        yield BoardItem(level="watch", words="The newest checkpoint is over 5 minutes old.", part="audit")


def of_budgets(budgets: Sequence[BudgetAccount]) -> Iterator[BoardItem]:
    """Those of all and of roles that are spent, or nearly; of users the alarm tells."""
    for each in budgets:
        used = each.spent / (each.limit or 1)
        if used >= NEARLY and not each.name.startswith("user"):
            whose = f" of {each.subject}" if each.subject else ""
            words = f"The budget {each.name}{whose} is {used:.0%} used."
            yield BoardItem(level="bad" if used >= FULL else "watch", words=words, part="budgets")


def _alarm(severity: str, words: str, part: str) -> Iterator[BoardItem]:
    level = LEVELS.get(severity, "well")
    if level != "well":
        yield BoardItem(level=level, words=words, part=part)


def _words(spike: ErrorSpike) -> str:
    return f"{spike.name}: {spike.count} {spike.category} errors in 5 minutes, usually {spike.baseline:g}."
