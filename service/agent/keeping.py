"""What a turn asks of the audit: to be written down, and on the disk before anybody hears an answer.

Refuses to know how: a journal does it, or nobody where the audit is switched off.
"""

from typing import Protocol


class Keeping(Protocol):
    """The audit, as far as a turn waits for it; each wait is bounded and never fails."""

    def require(self, turn_id: str) -> None:
        """Let an admitted turn go on; raises AuditUnwritable where it is not written down and must be."""
        ...

    async def begun(self) -> None:
        """Wait until what was written down so far is on the disk."""
        ...

    async def ended(self) -> None:
        """The same for the turn's outcome, where that is asked for."""
        ...


class Unkept:
    """No audit: nothing is asked of it."""

    def require(self, turn_id: str) -> None:
        """Let it go on."""
        del turn_id

    async def begun(self) -> None:
        """Wait for nothing."""

    async def ended(self) -> None:
        """Wait for nothing."""
