"""How many attempts may be repeated: a tenth of what is answered, and a few where little is asked.

Refuses to make a failing API's load much more than it was: it would not come back under thrice of it.
"""

from service.agent.upstream.breaker import Clock

SHARE = 0.1
"""Of a retry, for each call that is answered."""
MOST = 100.0
"""Retries that are saved up, at most."""
RESERVE = 10.0
"""Retries that a quiet service has."""
EACH = 10.0
"""Seconds until one of the reserve is there again."""


class Retries:
    """One model's."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._at = clock, clock()
        self._left = RESERVE

    def answered(self) -> None:
        """A call was answered."""
        self._left = min(MOST, self._left + SHARE)

    def take(self) -> bool:
        """Take one, where there is one."""
        now = self._clock()
        if self._left < RESERVE:
            self._left = min(RESERVE, self._left + (now - self._at) / EACH)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
