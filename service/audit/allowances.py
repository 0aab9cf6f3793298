"""The event of a caller's limits beginning anew.

Refuses to name the caller: their pseudonym stands there, as in traces.
"""

from service.audit.deed import Doer
from service.audit.deed import row_of as deed
from service.audit.row import AuditRow

LIMITS, RESET = "RATE_LIMIT", "RESET"


def reset(doer: Doer, pseudonym: str, role: str) -> AuditRow:
    """The event of forgetting what was counted for somebody."""
    return deed(doer, LIMITS, RESET, pseudonym, {"subject": pseudonym, "subjectRole": role})
