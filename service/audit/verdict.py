"""What the service says of its log once that was verified: a count of verdicts, and a line of a bad one.

Refuses to say who did it: no log knows.
"""

from logging import ERROR

from msgspec import Struct
from opentelemetry import metrics

from service.audit.verification.report import Report
from telemetry import log, names
from telemetry.recorder import microseconds

_verifications = metrics.get_meter(names.SCOPE).create_counter(
    names.AUDIT_VERIFICATIONS, unit="{verification}", description="Verifications of the whole log, by result"
)
VALID, INVALID = "valid", "invalid"


class Verdict(Struct):
    """What this process found when it last verified the whole log, in microseconds since 1970 (UTC)."""

    at: int | None = None
    valid: bool | None = None


last = Verdict()


def start() -> None:
    """Create the series at 0."""
    for result in (VALID, INVALID):
        _verifications.add(0, {"result": result})


def tell(report: Report) -> None:
    """Count a verdict; of a bad one say what was found first, and how much more."""
    last.at, last.valid = microseconds(), report.valid
    _verifications.add(1, {"result": VALID if report.valid else INVALID})
    for first in report.findings[:1]:
        log.say(
            names.AUDIT_INVALID,
            ERROR,
            findings=report.found,
            finding=first.kind.value,
            logIndex=first.log_index,
            error=first.detail,
            rows=report.rows,
        )
