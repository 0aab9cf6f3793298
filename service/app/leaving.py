"""The time that is left once the end was asked for; when it is over the process ends, whatever still runs.

Refuses to wait for a thread that hangs, a database or a collector that is silent: what was not written to its
last place is in the journal, and the next start brings it there.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

REST = 1.0
"""Seconds after the grace in which all is over."""
TELEMETRY = 2.0
"""Seconds that spans, metrics and log records have at most, when all else is over."""
LEAST, SPARE = 0.1, 0.2
"""Seconds that each who closes has at least, and that are kept for those who come after."""
LOOK, MOST_LATE = 0.02, 4.0
"""Time in which we would have worked and were not let is not counted, up to so much: the machine is busy."""
WAITED = Path("/proc/self/schedstat")
"""How long the main thread ran, and waited for a processor, in nanoseconds (Linux, proc(5))."""
WORDS = "parley: the stop took too long; what is not in the database is in the journal\n"
UNSENT = "parley: the collector took too long; the last spans, metrics or log records may be missing\n"

IN_ORDER, CUT_SHORT = 0, 1


class Leave:
    """Asked for by a signal's handler: nothing here waits for a lock.

    Args:
        grace: Seconds that turns have.
        end: Ends the process with an exit code, at once.
    """

    def __init__(self, grace: float, end: Callable[[int], None] = os._exit) -> None:
        self._grace, self._end = grace, end
        self._until: float | None = None
        self._late = self._before = 0.0
        self._code = CUT_SHORT
        self._asked = threading.Lock()
        self._asked.acquire()
        threading.Thread(target=self._see_to_it, name="last-resort", daemon=True).start()

    def begin(self, *, at_once: bool) -> None:
        """The end is asked for; again, and at once, it is so much nearer."""
        begun, now = self._until is not None, time.monotonic()
        self._until = now + REST + (0.0 if at_once else self._grace) if not begun or at_once else self._until
        if not begun:
            self._before = waited()
            self._asked.release()

    def settle(self) -> None:
        """All that had to be written is: an end that is forced from here on is one in order."""
        self._code = IN_ORDER
        if self._until is not None:
            self._until = min(self._until, time.monotonic() + TELEMETRY + REST)

    def within(self, seconds: float) -> float:
        """So many seconds, or what is left of the time."""
        if self._until is None:
            return seconds
        return min(seconds, max(LEAST, self._left(self._until) - SPARE))

    def _left(self, until: float) -> float:
        return until + min(self._late, MOST_LATE) - time.monotonic()

    def _see_to_it(self) -> None:
        self._asked.acquire()
        while self._until is not None and (left := self._left(self._until)) > 0:
            time.sleep(min(left, LOOK))
            self._late = waited() - self._before
        if self._code == CUT_SHORT:
            sys.stderr.write(WORDS)
        self._end(self._code)


def waited() -> float:
    """Seconds that the main thread has waited for a processor; 0 where the system does not say."""
    try:
        return int(WAITED.read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0
