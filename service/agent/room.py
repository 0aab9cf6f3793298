"""How much of what was said may be kept for listeners who come again: of each turn, and of all together.

Refuses to let one turn have what is everybody's: above either bound a turn lets go of its own oldest events.
"""

EACH = 1 << 20
"""Bytes kept of one turn."""
ALL = 64 << 20
"""Bytes kept of all turns."""


class Room:
    """Counts the bytes that are kept."""

    def __init__(self, each: int = EACH, all_together: int = ALL) -> None:
        self._each, self._all = each, all_together
        self.taken = 0

    @property
    def full(self) -> bool:
        """Whether all together keep too much."""
        return self.taken > self._all

    def take(self, size: int) -> None:
        """So many bytes more are kept."""
        self.taken += size

    def give(self, size: int) -> None:
        """So many bytes less."""
        self.taken -= size

    def holds(self, held: int) -> bool:
        """Whether a turn that keeps so many bytes may keep them."""
        return held <= self._each and not self.full


class NoRoom(Room):
    """Keeps nothing that was heard."""

    def holds(self, held: int) -> bool:
        """Keep nothing."""
        return not held


NONE = NoRoom()
