"""A folder that the processes of one machine share, so that one of them tells what all of them count.

Refuses to make anybody wait: whoever does not get the lock does not lead, and asks again later.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import msgspec
from msgspec import Struct

from telemetry.alarms.heard import Heard
from telemetry.alarms.message import Message
from telemetry.alarms.tally import Counted
from telemetry.alarms.watch import Memory

T = TypeVar("T", bound=Struct)

MODE = 0o600
FRESH = 10
"""So many times within the horizon is said that there is nothing new."""
MEMORY, LOCK, PART = "memory.json", "lock", ".part"


class Report(Struct, frozen=True, kw_only=True):
    """What one process says of itself."""

    counted: Counted
    heard: list[Heard]


class Minutes(Struct, frozen=True, kw_only=True):
    """What the next one who leads has to know: how alarms stand, and what the webhook did not take yet."""

    memory: Memory
    owed: list[Message]


class Gathered(Struct, frozen=True):
    """What all processes know; the minutes where this one leads from now on."""

    reports: list[Report]
    minutes: Minutes | None = None


class Desk:
    """One process's place at it. All methods block, and raise OSError where the folder cannot be used.

    Args:
        folder: Made where there is none, for its owner alone.
        horizon: Seconds after which a report counts no more.
    """

    def __init__(self, folder: Path, horizon: float) -> None:
        self._folder, self._horizon = folder, horizon
        self._own = f"{uuid4().hex}.json"
        self._said: Report | None = None
        self._lock: int | None = None

    def gather(self, said: Report, now: float) -> Gathered | None:
        """Say what this process knows, and hear what the others do; None where another leads."""
        self._report(said)
        minutes = None
        if self._lock is None:
            if not self._lead():
                return None
            minutes = read(self._folder / MEMORY, Minutes)
        return Gathered([said, *self._others(now)], minutes)

    def keep(self, minutes: Minutes) -> None:
        """Leave this to whoever leads next, if this process leads."""
        if self._lock is None:
            return
        self._write(MEMORY, msgspec.json.encode(minutes))

    def leave(self) -> None:
        """Lead no more; what was reported still counts."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _report(self, said: Report) -> None:
        """News at once; that there is none only so often that it counts on."""
        old = self._said
        news = old is None or (old.counted.kinds, old.heard) != (said.counted.kinds, said.heard)
        if old is None or news or said.counted.at - old.counted.at >= self._horizon / FRESH:
            self._write(self._own, msgspec.json.encode(said))
            self._said = said

    def _lead(self) -> bool:
        """Whether this process leads from now on."""
        lock = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            if isinstance(error, BlockingIOError):
                return False
            raise
        self._lock = lock
        return True

    def _others(self, now: float) -> list[Report]:
        """What the others say, dead ones too; what counts no more is removed."""
        found: list[Report] = []
        for path in self._folder.glob("*.json"):
            if path.name in {self._own, MEMORY}:
                continue
            report = read(path, Report)
            if report and now - report.counted.at <= self._horizon:
                found.append(report)
            else:
                path.unlink(missing_ok=True)
        return found

    def _write(self, name: str, content: bytes) -> None:
        """Whole or not at all; for others that read now, not for after a loss of power."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self._folder / f"{self._own}{PART}"
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, MODE)
        with os.fdopen(file, "wb") as opened:
            opened.write(content)
        part.replace(self._folder / name)


def read(path: Path, kind: type[T]) -> T | None:
    """What stands in a file of the folder; None where it is not there, or not what it should be."""
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(path.read_bytes(), type=kind)
    return None
