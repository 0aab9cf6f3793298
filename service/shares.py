"""The event loop's time, shared among all who have something to do at once: a thousand streams, say.

Refuses anybody more than a slice of a round: what comes in between, a probe or a new request, need not wait
for all of them.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

SLICE = 0.004
"""Seconds of a round of the loop after which the others are left for the next one."""
FEWEST = 8
"""That go on in a round however long the last one took."""


class Shares:
    """Whoever asks goes on at once, or in one of the next rounds: those who wait in their order."""

    def __init__(self, seconds: float = SLICE, clock: Callable[[], float] = time.perf_counter) -> None:
        self._slice, self._clock = seconds, clock
        self._waiting = deque[asyncio.Future[None]]()
        self._began: float | None = None
        self._many = FEWEST

    async def turn(self) -> None:
        """Go on once a round has time left; mostly this one has."""
        now = self._clock()
        if self._began is None:
            self._begin(now)
        elif self._waiting or now - self._began > self._slice:
            mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(mine)
            await mine

    def _begin(self, now: float) -> None:
        self._began = now
        asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """A new round: twice as many go on where the last one had time left, else half as many."""
        now, began, self._began = self._clock(), self._began, None
        if not self._waiting:
            return
        spare = began is not None and now - began < self._slice
        self._many = self._many * 2 if spare else max(FEWEST, self._many // 2)
        for _ in range(min(self._many, len(self._waiting))):
            mine = self._waiting.popleft()
            if not mine.done():  # whoever waited may have been cancelled
                mine.set_result(None)
        self._begin(now)
