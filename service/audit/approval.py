"""The event of a decision on a tool's call: approved, denied, or by nobody in time.

Refuses the call's arguments a place; the reason that was given is kept like a query, erasable.
"""

from msgspec import structs

from service.audit.deed import Doer
from service.audit.deed import row_of as deed
from service.audit.row import AuditRow

APPROVAL_OF, DECIDED = "AGENT_APPROVAL", "APPROVAL"


def decided(
    doer: Doer,
    turn_id: str,
    call_id: str,
    tool: str,
    decision: str,
    milliseconds: int,
    *,
    reason: str | None = None,
) -> AuditRow:
    """The event of one decision, which took so long; `doer` has no caller where nobody decided."""
    facts = {"callId": call_id, "tool": tool, "decision": decision, "milliseconds": milliseconds}
    row = deed(doer, APPROVAL_OF, DECIDED, turn_id, facts)
    return structs.replace(row, query=reason)
