"""Time that something outside may take, counted in short slices of this process's own.

Refuses to take our own lateness for theirs: an event loop that stands still spends one slice, and looks at
its sockets before the next.
"""

import asyncio
from types import TracebackType
from typing import Self


class Slices:
    """So many seconds in so many slices; while `held` none is spent.

    A context: it bounds its block, out of which it raises TimeoutError where none remains.
    """

    def __init__(self, seconds: float, count: int) -> None:
        self._count, self.held = count, False
        self._limit: asyncio.Timeout | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.begin(seconds)

    def begin(self, seconds: float) -> None:
        """Have so many seconds from now on."""
        self._slice, self._left = seconds / self._count, self._count

    def refill(self) -> None:
        """Have all of them again."""
        self._left = self._count

    @property
    def left(self) -> float:
        """Seconds that remain."""
        return self._left * self._slice

    async def __aenter__(self) -> Self:
        self._limit = await asyncio.timeout(None).__aenter__()
        self._wait(self._limit)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer:
            self._timer.cancel()
        if self._limit:
            await self._limit.__aexit__(kind, error, trace)

    def _wait(self, limit: asyncio.Timeout) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._slice, self._spend, limit)

    def _spend(self, limit: asyncio.Timeout) -> None:
        self._left -= not self.held
        if self._left > 0:
            self._wait(limit)
        else:
            limit.reschedule(asyncio.get_running_loop().time())
