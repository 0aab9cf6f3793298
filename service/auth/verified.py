"""Credentials that this process has seen hold, for when nobody can look: bounded in number and age.

Refuses to say anything of one that was never looked up, was last looked up too long ago, or was seen to end.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

CAPACITY = 10_000
"""Credentials at once; beyond it the one that was looked up longest ago goes."""

Clock = Callable[[], int]
"""Microseconds since 1970 (UTC)."""


class Verified(Generic[T]):
    """What was found of each credential when it was last looked up; none older than `stale_ms` is told."""

    def __init__(self, clock: Clock, stale_ms: int = 0, capacity: int = CAPACITY) -> None:
        self._clock, self._longest, self._capacity = clock, stale_ms * 1_000, capacity
        self._found: dict[str, tuple[int, T]] = {}

    def note(self, name: str, found: T) -> None:
        """It was looked up just now, and holds."""
        self._found.pop(name, None)
        if self._longest:
            self._found[name] = self._clock(), found
        if len(self._found) > self._capacity:
            del self._found[next(iter(self._found))]

    def drop(self, name: str) -> None:
        """It does not hold any more."""
        self._found.pop(name, None)

    def drop_all(self, unwanted: Callable[[T], bool]) -> None:
        """None of these hold any more."""
        self._found = {name: kept for name, kept in self._found.items() if not unwanted(kept[1])}

    def recall(self, name: str) -> T | None:
        """What was found of it; None where that is not known, or too old. A clock set back makes it so."""
        at, found = self._found.get(name, (0, None))
        return found if 0 <= self._clock() - at < self._longest else None
