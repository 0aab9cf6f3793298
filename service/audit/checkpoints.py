"""When checkpoints are made, and that they are told: a log line, the outlets of the settings, their age.

Refuses to fail for want of a database: it is asked again later; after a minute without it, a line says so.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from logging import WARNING
from typing import Any, Protocol
from weakref import WeakSet

import msgspec
from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from service import failpoint
from service.audit.signing import LogKey
from service.errors import DatabaseError
from telemetry import log, names
from telemetry.outlet import Outlet
from telemetry.timestamp import timestamp

FINISH_SECONDS = 2.0
SECOND = 1_000_000
SILENCE = 60 * SECOND
"""Microseconds without a checkpoint after which a line says so, and then each time again."""


class Kept(Protocol):
    """One checkpoint; `at` is microseconds since 1970 (UTC)."""

    @property
    def size(self) -> int:
        """Events under it."""
        ...

    @property
    def at(self) -> int:
        """When it was made."""
        ...

    @property
    def note(self) -> str:
        """The signed note."""
        ...

    @property
    def begins_day(self) -> bool:
        """Whether it is new, and the log's first of its day (UTC)."""
        ...


Sign = Callable[[int, bytes, bytes, int], str]


class Keeping(Protocol):
    """Where checkpoints are kept; every method raises DatabaseError."""

    @property
    def newest_at(self) -> int | None:
        """When the newest one was made, as it was last seen; None before that."""
        ...

    async def seal(self, sign: Sign, now: int, *, force: bool = False) -> Kept | None:
        """Make one where one is due, or in any case."""
        ...

    async def covering(self, sign: Sign, now: int) -> tuple[Kept, bool]:
        """One that covers the whole log, and whether it is new."""
        ...


class Sealing:
    """Makes checkpoints and tells them. `clock` gives microseconds since 1970 (UTC).

    One process needs one; `seal` is for its owner to call, every second and at an orderly stop. `new_day` is
    set when this process makes a day's first one: of all processes on a log just one does.
    """

    def __init__(
        self, keeping: Keeping, key: LogKey, outlets: Sequence[Outlet[bytes]], clock: Callable[[], int]
    ) -> None:
        self.key, self.new_day = key, asyncio.Event()
        self._keeping, self._outlets, self._clock = keeping, outlets, clock
        self._quiet_since = clock()
        _sealings.add(self)

    def age(self) -> float | None:
        """Seconds since the log's newest checkpoint, by whomever; None where none was seen yet."""
        at = self._keeping.newest_at
        return None if at is None else (self._clock() - at) / SECOND

    async def seal(self, *, force: bool = False) -> bool:
        """Make and tell a checkpoint where one is due, or in any case; whether one was made. Never raises."""
        now = self._clock()
        try:
            kept = await self._keeping.seal(self.key.note, now, force=force)
        except DatabaseError as error:
            self._failed(error, now)
            return False
        self._quiet_since = now
        if kept:
            failpoint.reached("checkpoint.made")
            self._tell(kept)
            failpoint.reached("checkpoint.told")
        return kept is not None

    async def covering(self) -> Kept:
        """A checkpoint over all that the log has now; a new one is told.

        Raises:
            DatabaseError: there is none.
        """
        kept, new = await self._keeping.covering(self.key.note, self._clock())
        if new:
            self._tell(kept)
        return kept

    async def close(self, seconds: float = FINISH_SECONDS) -> None:
        """Wait for so long until everybody was told; makes none."""
        for outlet in self._outlets:
            await outlet.finish(seconds)

    def _tell(self, kept: Kept) -> None:
        root = kept.note.split("\n")[2]
        log.say(names.AUDIT_CHECKPOINT, checkpoint=kept.note, size=kept.size, root=root)
        line = line_of(kept)
        for outlet in self._outlets:
            outlet.tell(line)
        if kept.begins_day:
            self.new_day.set()

    def _failed(self, error: DatabaseError, now: int) -> None:
        if now - self._quiet_since >= SILENCE:
            self._quiet_since = now
            log.say(names.CHECKPOINT_UNTOLD, WARNING, outlet="database", error=error.detail, waiting=0)


def line_of(kept: Kept) -> bytes:
    """What outlets are told: one JSON object, without a line's end."""
    said: dict[str, Any] = {
        "checkpoint": kept.note,
        "size": kept.size,
        "time": timestamp(kept.at),
    }
    return msgspec.json.encode(said)


_sealings: WeakSet[Sealing] = WeakSet()


def _ages(options: CallbackOptions) -> Iterable[Observation]:
    del options
    return [Observation(age) for each in tuple(_sealings)[:1] if (age := each.age()) is not None]


metrics.get_meter(names.SCOPE).create_observable_gauge(
    names.AUDIT_CHECKPOINT_AGE, [_ages], "s", "Age of the log's newest checkpoint"
)
