"""How a store that was away is met again: what it kept, what it is told, and when it may be trusted.

Refuses to count on a memory that is new before every process that lives has told it what it admitted.
"""

import time
from collections.abc import Callable

from service.limits.own import Own
from service.limits.remote import Meeting, Remote

SETTLING_MS = 3_000
"""Until every process has told a new memory what it admitted: each looks every second, for half of one."""
MILLISECOND, MICROSECOND = 1_000_000, 1_000
"""In nanoseconds."""


class Reunion:
    """The relation of one process to the shared store.

    `epoch` is the life of its memory that this process knows. `ready_at` is the moment from which it may be
    trusted, by the clock; None where it was not met since it was lost.
    """

    def __init__(
        self,
        store: Remote,
        own: Own,
        *,
        alone: bool,
        strict: bool,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._store, self._own, self._clock = store, own, clock
        # Nobody else has anything to tell where there is one process.
        self._settling = 0 if alone else SETTLING_MS * MILLISECOND
        self._strict = strict
        self.epoch: str | None = None
        self.ready_at: int | None = None
        self._tell_all = False

    @property
    def is_ready(self) -> bool:
        """Whether the store may be trusted."""
        return self.ready_at is not None and self._clock() >= self.ready_at

    def lose(self) -> None:
        """Begin anew: it has to be met again."""
        self.ready_at = None

    async def approach(self, met: Meeting) -> int | None:
        """Tell the store what it lacks, and say since when its memory is new, where it forgot.

        Raises:
            StoreAway: it did not take it.
        """
        kept = met.epoch == self.epoch
        forgot = None if kept or self.epoch is None else self._clock() - met.age_us * MICROSECOND
        self._store.trust(met.epoch)
        await self._tell(everything=not kept)
        self.epoch = met.epoch
        if self.ready_at is None or not kept:
            self.ready_at = self._clock() + self._wait(met)
        return forgot

    async def pay(self) -> None:
        """Tell what was admitted alone since.

        Raises:
            StoreAway: it did not take it.
        """
        await self._tell(everything=False)

    async def _tell(self, *, everything: bool) -> None:
        everything = everything or self._tell_all
        # Whatever is interrupted is told whole the next time: counted twice is stricter, never laxer.
        self._tell_all = True
        pieces = self._own.all() if everything else self._own.owed()
        if pieces:
            await self._store.merge(pieces)
        self._tell_all = False

    def _wait(self, met: Meeting) -> int:
        young = self._settling - met.age_us * MICROSECOND
        # Others may have admitted their shares alone, and be a moment later: strict waits for them, too.
        return max(0, young, self._settling if self._strict and self.epoch else 0)
