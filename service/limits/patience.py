"""How long a call to a shared store may take, counted in short slices of this process's own time.

Refuses to take our own lateness for the store's: an event loop that stands still spends one slice, and looks
at its sockets before the next.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

SLICES = 5


class Patience:
    """The time of one call; `left` is what remains of it, in seconds."""

    def __init__(self, seconds: float) -> None:
        self._slice, self._left = seconds / SLICES, SLICES
        self._timer: asyncio.TimerHandle | None = None

    @property
    def left(self) -> float:
        """Seconds that remain."""
        return self._left * self._slice

    @asynccontextmanager
    async def bounding(self) -> AsyncGenerator[None]:
        """Bound the block; raises TimeoutError where it takes longer."""
        async with asyncio.timeout(None) as limit:
            self._wait(limit)
            try:
                yield
            finally:
                if self._timer:
                    self._timer.cancel()

    def _wait(self, limit: asyncio.Timeout) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._slice, self._spend, limit)

    def _spend(self, limit: asyncio.Timeout) -> None:
        self._left -= 1
        if self._left > 0:
            self._wait(limit)
        else:
            limit.reschedule(asyncio.get_running_loop().time())
