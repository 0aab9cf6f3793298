"""The events of forgetting a person, and of the holds that forbid it.

Refuses to name anybody: a person is told by their random id, which leads nowhere once they are forgotten.
"""

from service.audit.deed import Doer
from service.audit.deed import row_of as deed
from service.audit.row import AuditRow

ERASURE, ERASED = "AUDIT_ERASURE", "ERASED"
HOLD, PLACED, RELEASED = "AUDIT_HOLD", "PLACED", "RELEASED"


def erased(
    doer: Doer, subject_id: str, *, events: int, conversations: int, answers: int, api_keys: int
) -> AuditRow:
    """The event of an erasure: what lost its text and name, and what went whole."""
    facts = {
        "subjectId": subject_id,
        "events": events,
        "conversations": conversations,
        "answers": answers,
        "apiKeys": api_keys,
    }
    return deed(doer, ERASURE, ERASED, subject_id, facts)


def placed(doer: Doer, subject_id: str) -> AuditRow:
    """The event of a legal hold; its reason is kept with the hold, where it can go with it."""
    return deed(doer, HOLD, PLACED, subject_id, {"subjectId": subject_id})


def released(doer: Doer, subject_id: str) -> AuditRow:
    """The event of a hold's end."""
    return deed(doer, HOLD, RELEASED, subject_id, {"subjectId": subject_id})
