"""The lock that lets one connection at a time, of all processes, write or checkpoint a database file.

Refuses to wait without bound. Needed because SQLite before 3.51.3 may damage a file when one connection's
checkpoint starts the write-ahead log anew while another one writes to it.
"""

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

FIRST_PAUSE, LONGEST_PAUSE = 0.0005, 0.01


class FileLock:
    """A file beside the database that is locked as a whole; it stays there, empty.

    Belongs to one connection and its thread. Who ends, however it ends, lets go of it.
    """

    def __init__(self, database: Path, patience: float) -> None:
        self._path, self._patience = Path(f"{database}.lock"), patience
        self._descriptor: int | None = None
        self._taken = False

    def take(self, patience: float | None = None) -> bool:
        """Take it, waiting `patience` seconds or as long as the lock says; again: nothing. Raises OSError."""
        deadline = time.monotonic() + (self._patience if patience is None else patience)
        pause = FIRST_PAUSE
        while not self._taken and not self._try():
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        return True

    def release(self) -> None:
        """Let go; again: nothing."""
        if self._taken and self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._taken = False

    def close(self) -> None:
        """Let go for good."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self._taken = None, False

    def _try(self) -> bool:
        if self._descriptor is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self._taken = self._same()
        if not self._taken:
            self.close()  # it was removed or replaced: others would lock another one
        return self._taken

    def _same(self) -> bool:
        with suppress(OSError):
            found, ours = self._path.stat(), os.fstat(self._descriptor or 0)
            return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)
        return False
