"""Numbers the rows of one journal from 1, so that a missing one shows.

Refuses to number anything twice: an id keeps its number until it is closed.
"""

from msgspec import Struct


class Number(Struct, frozen=True):
    """A row's number, and the least one that was not closed yet when it was: all below are rows."""

    seq: int
    low: int


class Numbers:
    """Hands out numbers; knows which are still open."""

    def __init__(self) -> None:
        self._next = 1
        self._open: dict[str, int] = {}  # in the order of the numbers

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, row_id: str) -> bool:
        return row_id in self._open

    def open(self, row_id: str) -> int:
        """Number what will be a row."""
        seq = self._open.setdefault(row_id, self._next)
        self._next += seq == self._next
        return seq

    def close(self, row_id: str) -> Number:
        """The number of what is a row now."""
        seq = self.open(row_id)
        del self._open[row_id]
        return Number(seq, next(iter(self._open.values()), self._next))
