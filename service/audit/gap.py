"""Turns that ran while no intent of theirs could be written, told as one row once writing goes again.

Refuses to exist under AGENT_AUDIT_UNWRITABLE=refuse: there no such turn runs.
"""

from service.audit.row import AuditRow, canonical
from telemetry import ids
from telemetry.recorder import microseconds
from telemetry.timestamp import timestamp

ENTITY = "AUDIT_GAP"


class Gap:
    """Counts such turns; `since` is when the first began, in microseconds since 1970 (UTC)."""

    def __init__(self) -> None:
        self.turns, self.since = 0, 0

    def add(self) -> None:
        """One more runs."""
        self.since = self.since or microseconds()
        self.turns += 1

    def taken(self) -> AuditRow | None:
        """The row that tells of them, and forget them; None where there are none."""
        if not self.turns:
            return None
        row = _row(self.turns, self.since, microseconds())
        self.turns, self.since = 0, 0
        return row


def _row(turns: int, since: int, until: int) -> AuditRow:
    row_id = ids.uuid7()
    told = {"turns": turns, "from": timestamp(since), "to": timestamp(until), "count": 1}
    return AuditRow(
        id=row_id,
        entity_type=ENTITY,
        entity_id=row_id,
        action="GAP",
        request_id=row_id,
        metadata=canonical(told),
        created_at=until,
    )
