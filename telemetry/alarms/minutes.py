"""Which alarms stand, as whoever tells them on this machine last wrote down.

Refuses what is old: where nobody has looked for a while, nobody knows.
"""

from collections.abc import Sequence
from pathlib import Path

from telemetry.alarms.alarm import Notice
from telemetry.alarms.desk import MEMORY, Minutes, read
from telemetry.alarms.durations import Durations

FRESH = 6 * Durations().tick
"""Seconds; it is written with every look."""


def standing(folder: Path, now: float) -> Sequence[Notice]:
    """The alarms that stand at a moment, in seconds since 1970; the eldest first."""
    path = folder / MEMORY
    try:
        fresh = now - path.stat().st_mtime <= FRESH
    except OSError:
        return ()
    minutes = read(path, Minutes) if fresh else None
    known = minutes.memory.standings.values() if minutes else ()
    found = [Notice(alarm=each.alarm, started=each.started) for each in known if each.started is not None]
    return sorted(found, key=lambda notice: notice.started)
