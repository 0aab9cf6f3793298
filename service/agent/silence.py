"""How long a model's API may say nothing, counted in short slices of this process's own time.

Refuses to take our own lateness for silence: an event loop that stands still spends one slice, and looks at
its sockets before the next. Refuses to take pings for progress: only what is told to it is.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

from msgspec import Struct

SLICES = 10


class Times(Struct, frozen=True, kw_only=True):
    """Seconds that an API may take: to be connected to, to its first event, from each event to the next."""

    connect: float = 5.0
    first: float = 30.0
    between: float = 30.0


class Silent(Exception):
    """Nothing came for too long."""


class Silence:
    """The silence of one answer."""

    def __init__(self, times: Times) -> None:
        self._slice, self._between = times.first / SLICES, times.between / SLICES
        self._spent, self._busy = 0, False
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def bounding(self) -> AsyncGenerator[None]:
        """Bound the block; raises Silent where it is silent for too long."""
        limit = asyncio.timeout(None)
        try:
            async with limit:
                self._wait(limit)
                yield
        except TimeoutError as error:
            if limit.expired():
                raise Silent from error
            raise
        finally:
            if self._timer:
                self._timer.cancel()

    def broken(self) -> None:
        """An event came."""
        self._slice, self._spent = self._between, 0

    @contextmanager
    def ours(self) -> Generator[None]:
        """While the block runs it is us who are waited for: a client that reads slowly, say."""
        self._busy = True
        try:
            yield
        finally:
            self._busy, self._spent = False, 0

    def _wait(self, limit: asyncio.Timeout) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._slice, self._spend, limit)

    def _spend(self, limit: asyncio.Timeout) -> None:
        self._spent += not self._busy
        if self._spent < SLICES:
            self._wait(limit)
        else:
            limit.reschedule(asyncio.get_running_loop().time())
