"""The event of what a caller said of their own turn.

Refuses the comment a place: a commitment stands there, which its salt opens as long as the comment is kept.
"""

from service.audit.deed import Doer
from service.audit.deed import row_of as deed
from service.audit.row import AuditRow

FEEDBACK_ON, GIVEN = "AGENT_FEEDBACK", "FEEDBACK"


def given(
    doer: Doer, turn_id: str, rating: str, commitment: bytes | None, *, withdrawn: bool = False
) -> AuditRow:
    """The event of a rating that is given, or taken back."""
    facts = {
        "rating": rating,
        "withdrawn": withdrawn,
        "commented": commitment is not None,
        "commentCommitment": commitment.hex() if commitment else None,
    }
    return deed(doer, FEEDBACK_ON, GIVEN, turn_id, facts)
