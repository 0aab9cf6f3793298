"""Says when rows are nowhere to be found, for longer than a moment; and when they no longer are.

Refuses to say it with each look: once, and again while it lasts.
"""

import time
from collections.abc import Callable

from telemetry import log
from telemetry.alarms.alarm import Alarm, Notice, line

PATIENCE = 120.0
"""Seconds that rows may be on their way, as Prometheus's rule has it."""
AGAIN = 300.0
"""Seconds between two lines while it lasts."""


class Balance:
    """Looks at the law of conservation. `count` gives the rows nobody knows of, `clock` seconds."""

    def __init__(self, count: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._count, self._clock = count, clock
        self._since = self._told = 0.0
        self._off = self._said = False

    def look(self) -> None:
        """Say what is to be said."""
        rows, now = self._count(), self._clock()
        if not rows:
            if self._said:
                _say("No audit row is missing any more.", 0, ended=True)
            self._off = self._said = False
            return
        if not self._off:
            self._off, self._since = True, now
        if now - self._since >= PATIENCE and not (self._said and now - self._told < AGAIN):
            self._said, self._told = True, now
            _say(f"{rows} audit rows are nowhere to be found.", rows, ended=False)


def _say(summary: str, rows: int, *, ended: bool) -> None:
    told: dict[str, float | str] = {"count": rows, "baseline": 0, "window": f"{PATIENCE / 60:.0f}m"}
    alarm = Alarm(name="AuditBalance", severity="page", summary=summary, more={}, told=told)
    now = time.time()
    if said := line(Notice(alarm=alarm, started=now, ended=now if ended else None)):
        log.tell(said)
