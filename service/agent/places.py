"""Places for turns under way, and a short queue before them: whoever has the fewest is next.

Refuses at once where the queue is full, and everybody who has waited for a second; nobody waits behind
another's flood.
"""

import asyncio
import random
from collections import Counter, deque

from service.errors import Overloaded

PATIENCE = 1.0
"""Seconds that a turn waits for a place."""
COME_BACK_MS = 1_000, 3_000
"""When to come back, at random: those who were turned away together do not return together."""

Line = deque[asyncio.Future[None]]


class Places:
    """So many places, and as many who wait: where a turn takes a second, each of those has one in time.

    Who somebody is may be a guess: it orders those who wait, and lets nobody in.
    """

    def __init__(self, count: int, patience: float = PATIENCE) -> None:
        self.count, self._patience = count, patience
        self._held: Counter[str] = Counter()
        self._lines: dict[str, Line] = {}
        self.taken = self.waiting = 0

    def full_for(self, whom: str) -> bool:
        """Whether another one of theirs would be turned away at once."""
        return self.waiting >= self.count and self._longest(whom) is None

    async def take(self, whom: str) -> None:
        """Have a place, until it is given back.

        Raises:
            Overloaded: there is none, nor will there be soon.
        """
        if self.taken < self.count:
            self._take(whom)
        else:
            await self._wait(whom)

    async def _wait(self, whom: str) -> None:
        """Until a place is handed over, which is counted as theirs then."""
        future, since = self._queue(whom), asyncio.get_running_loop().time()
        try:
            done, _ = await asyncio.wait((future,), timeout=self._patience)
        except asyncio.CancelledError:
            if not self._remove(whom, future):
                self.leave(whom)
            raise
        if not done:
            self._remove(whom, future)
        if not done or future.exception():
            raise turned_away(asyncio.get_running_loop().time() - since)

    def _queue(self, whom: str) -> asyncio.Future[None]:
        if self.waiting >= self.count:
            self._turn_out(self._longest(whom))
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(whom, deque()).append(future)
        self.waiting += 1
        return future

    def _longest(self, whom: str) -> str | None:
        """Whose line is so long that its last one goes before another of theirs does."""
        longest = max(self._lines, key=lambda each: len(self._lines[each]), default=whom)
        own = len(self._lines.get(whom, ()))
        return longest if len(self._lines.get(longest, ())) > own + 1 else None

    def _turn_out(self, whom: str | None) -> None:
        if whom is None:
            raise turned_away()
        last = self._lines[whom][-1]
        self._remove(whom, last)
        last.set_exception(turned_away())

    def _remove(self, whom: str, future: asyncio.Future[None]) -> bool:
        """Take one out of the line; whether it still stood there."""
        if future.done():
            return future.exception() is not None
        line = self._lines[whom]
        line.remove(future)
        if not line:
            del self._lines[whom]
        self.waiting -= 1
        return True

    def _take(self, whom: str) -> None:
        self._held[whom] += 1
        self.taken += 1

    def leave(self, whom: str) -> None:
        """Give a place back, to whoever has the fewest; of those to whom it was longest ago."""
        self.taken -= 1
        self._held[whom] -= 1
        if not self._held[whom]:
            del self._held[whom]
        if self._lines:
            self._hand_over(min(self._lines, key=self._held.__getitem__))

    def _hand_over(self, whom: str) -> None:
        line = self._lines.pop(whom)
        future = line.popleft()
        if line:
            self._lines[whom] = line  # behind all others
        self.waiting -= 1
        self._take(whom)
        future.set_result(None)


def turned_away(waited: float = 0.0) -> Overloaded:
    """The refusal of whoever has no place, after so many seconds in the queue."""
    vain = f" This one waited for {waited * 1000:.0f} ms." if waited else ""
    return Overloaded(
        f"The service has as many requests under way as it takes.{vain}",
        retry_after_ms=random.randint(*COME_BACK_MS),  # noqa: S311 - no secret
    )
