"""Small look-ups on the very thread that asks: no way to another thread and back, where a file is at hand.

Refuses to wait for anything: a file that is locked, was replaced, was not read lately or was slow lately is
left to the thread that may wait.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from service.store.sqlite.connection import Locking, connect, identity, rows

WARM = 10.0
"""Seconds since the last look after which its pages may have left the memory."""
SLOW, SHARE = 0.005, 8
"""Seconds that looks take on a file that is slow, as the mean of about so many: one look may have waited for
the processor."""
REST = 1.0
"""Seconds that a slow file is left alone."""

UNTOLD = (sqlite3.Error, OSError, OverflowError, UnicodeError)
"""What keeps a look from being told: whoever may wait says what it is."""

Rows = list[dict[str, Any]]


class Line(Struct):
    """An open connection, of which file it is, and when it was last read by."""

    connection: Locking
    file: tuple[int, int] | None
    read_at: float


class Glance:
    """Looks at the file at `path`. All but `warm` is called by one thread, which no look keeps waiting.

    `pragmas` are set on each opening, `clock` tells seconds.
    """

    def __init__(
        self, path: Path, pragmas: Sequence[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path, self._pragmas, self._clock = path, pragmas, clock
        self._line: Line | None = None
        self._lent, self._rests_until, self._mean = False, 0.0, 0.0

    def look(self, sql: str, arguments: Sequence[object]) -> Rows | None:
        """The rows of a SELECT of a few; None where nobody can tell at once."""
        line, began = self._line, self._clock()
        if line is None or self._lent or self._cold(line, began) or began < self._rests_until:
            return None
        try:
            found = _read(line, self._path, sql, arguments)
        except UNTOLD:
            return None
        line.read_at = self._clock()
        self._mean += (line.read_at - began - self._mean) / SHARE
        if self._mean > SLOW:
            self._rests_until, self._mean = line.read_at + REST, 0.0
        return found

    def lend(self) -> bool:
        """Whether to `warm` it now; nobody looks by it until that is done."""
        now = self._clock()
        if self._lent or now < self._rests_until or not (self._line is None or self._cold(self._line, now)):
            return False
        self._lent = True
        return True

    def warm(self, sql: str, arguments: Sequence[object]) -> None:
        """Read as a look would, on a thread that may wait, so that all it takes is at hand."""
        line, self._line = self._line, None
        try:
            line = line or self._opened()
            _read(line, self._path, sql, arguments)
            line.read_at, self._line = self._clock(), line
        except UNTOLD:
            if line:
                line.connection.close()
        finally:
            self._lent = False

    def close(self) -> None:
        """Look no more; nobody warms it."""
        if self._line:
            self._line.connection.close()
        self._line, self._lent = None, True

    def _cold(self, line: Line, now: float) -> bool:
        return now - line.read_at > WARM

    def _opened(self) -> Line:
        found = identity(self._path)
        return Line(connect(self._path, self._pragmas, 0.0, check_same_thread=False), found, 0.0)


def _read(line: Line, path: Path, sql: str, arguments: Sequence[object]) -> Rows:
    if line.file is None or identity(path) != line.file:
        raise FileNotFoundError(path)  # another one is there
    return rows(sql, arguments, line.connection)
