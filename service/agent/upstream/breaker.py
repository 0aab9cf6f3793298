"""Leaves an API alone for a while that keeps failing: one model's, closed while all is well.

Refuses to judge by what was asked: only failures of the API's own kind are told to it. Refuses a crowd to try
whether it is back: one at a time does.
"""

from collections import deque
from collections.abc import Callable

from service.errors import UpstreamError

Clock = Callable[[], float]
"""Seconds that only grow."""

IN_A_ROW = 5
"""Failures without a success between them that open it."""
LOOKED_AT = 20
"""The latest attempts; where half of so many failed, it opens too."""
WINDOW = 60.0
"""Seconds after which an attempt says nothing any more."""
SHORTEST, LONGEST = 5.0, 60.0
"""Seconds that it stays open: twice as long after each probe that fails."""
PROBE = 1.0
"""Seconds after which to come again where a probe is under way."""


class Breaker:
    """Counts attempts. Open, it lets one through when its time is over: a probe, by which it may close."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._latest: deque[tuple[float, bool]] = deque(maxlen=LOOKED_AT)
        self._opened_for, self._until = 0.0, 0.0
        self._probing = False
        self.cause: UpstreamError | None = None

    @property
    def open(self) -> bool:
        """Whether it lets nobody through but a probe."""
        return self.cause is not None

    @property
    def seconds(self) -> float:
        """Until an attempt is let through; 0.0 where one is now."""
        if not self.open:
            return 0.0
        left = max(0.0, self._until - self._clock())
        return max(left, PROBE) if self._probing else left

    def enter(self) -> bool:
        """Begin an attempt that `seconds` allows; say whether it is a probe."""
        self._probing = self.open
        return self.open

    def leave(self, failure: UpstreamError | None, *, probe: bool, says: bool = True) -> None:
        """An attempt is over: it failed, it did not, or it says nothing."""
        if probe:
            self._probing = False
        if not says or self.open is not probe:  # what began before it opened is old news
            return
        if failure is None:
            self._close()
        else:
            self._count(failure, probe=probe)

    def _close(self) -> None:
        if self.open:
            self._latest.clear()
            self.cause, self._opened_for = None, 0.0
        self._latest.append((self._clock(), True))

    def _count(self, failure: UpstreamError, *, probe: bool) -> None:
        self._latest.append((self._clock(), False))
        if probe or self._too_many():
            self.cause = failure
            self._opened_for = min(LONGEST, max(SHORTEST, self._opened_for * 2))
            self._until = self._clock() + self._opened_for

    def _too_many(self) -> bool:
        lately = [well for at, well in self._latest if at > self._clock() - WINDOW]
        in_a_row = len(lately) >= IN_A_ROW and not any(lately[-IN_A_ROW:])
        return in_a_row or (len(lately) == LOOKED_AT and sum(lately) * 2 <= LOOKED_AT)
