"""What the service says of its log once that was verified: a count of verdicts, and a line of a bad one.

Refuses to say who did it: no log knows.
"""

from logging import ERROR

from opentelemetry import metrics

from service.audit.verification.report import Report
from telemetry import log, names

_verifications = metrics.get_meter(names.SCOPE).create_counter(
    names.AUDIT_VERIFICATIONS, unit="{verification}", description="Verifications of the whole log, by result"
)
VALID, INVALID = "valid", "invalid"


def start() -> None:
    """Create the series at 0."""
    for result in (VALID, INVALID):
        _verifications.add(0, {"result": result})


def tell(report: Report) -> None:
    """Count a verdict; of a bad one say what was found first, and how much more."""
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
