"""What every limiter does, wherever it keeps its state.

Refuses to say where that is; tests/contracts/test_limiters.py holds every store to the same promises.
"""

from typing import Protocol

from telemetry.record import RateLimit


class Limiter(Protocol):
    """Decides over one window: never more than `limit` admissions of a subject in any span of it."""

    def admit(self, subject: str, limit: int) -> RateLimit:
        """Admit one request and count it, or deny it at no cost.

        Args:
            subject: Who is limited; any text. Equal texts share one count.
            limit: The most admissions per window, at least 1; it may differ from call to call.

        Raises:
            ValueError: The limit is less than 1.
        """
        ...

    def peek(self, subject: str, limit: int) -> RateLimit:
        """Say what stands, counting nothing; the decision is that of a request at this moment.

        Raises:
            ValueError: The limit is less than 1.
        """
        ...
