"""Retention by age: which events go, and the event that says so.

Refuses to remove anything itself: a store does, run by run, each with its event in the same transaction.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from service.audit.deed import Doer
from service.audit.deed import row_of as deed
from service.audit.row import AuditRow
from telemetry import ids
from telemetry.timestamp import timestamp

RETENTION, REMOVED = "AUDIT_RETENTION", "REMOVED"
DAY = 86_400_000_000
"""Microseconds."""

Span = tuple[int, int]
"""The first and the last place of a run of events."""


class Remover(Protocol):
    """Where old events are."""

    async def remove(self, cutoff: int, tell: Callable[[Sequence[Span]], AuditRow]) -> int:
        """Remove events from before a time, and append what `tell` makes of each run; gives how many went."""
        ...


async def retain(remover: Remover, days: int, doer: Doer) -> int:
    """Remove what is older than so many days, as far as it may go; gives how many events went.

    To be called once a day, from any number of processes.

    Raises:
        DatabaseError: it stopped on the way; what was removed is told in the log.
    """
    cutoff = cutoff_of(days, doer.at)
    return await remover.remove(cutoff, partial(removed, doer, cutoff))


def cutoff_of(days: int, now: int) -> int:
    """The time before which events are old; microseconds since 1970 (UTC), as `now`."""
    return max(0, now - days * DAY)


def removed(doer: Doer, cutoff: int, spans: Sequence[Span]) -> AuditRow:
    """The event of a run."""
    facts = {
        "ranges": [list(span) for span in spans],
        "cutoff": timestamp(cutoff),
        "events": sum(last - first + 1 for first, last in spans),
    }
    return deed(doer, RETENTION, REMOVED, ids.uuid7(), facts)
