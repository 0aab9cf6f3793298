"""Room set aside on the disk, so that what runs when the disk is full can still be settled.

Refuses to be used twice: whoever took it makes a new one.
"""

import threading
from contextlib import suppress
from pathlib import Path

from service import failpoint
from service.audit.journal.disk import Disk

NAME = "reserve"
_MAKING = "reserve.new"


class Reserve:
    """The reserve of one writer's folder; `size` is its bytes."""

    def __init__(self, disk: Disk, folder: Path, size: int) -> None:
        self.size = size
        self._disk, self._folder = disk, folder
        self._fd: int | None = None
        self._swapping = threading.Lock()  # the name and the descriptor are of one file

    @property
    def there(self) -> bool:
        """Whether there is one."""
        return self._fd is not None

    def make(self) -> OSError | None:
        """Set room aside, also where there is a reserve: it proves that there is room. On any thread.

        The error is returned, not raised: there is no room.
        """
        new = self._folder / _MAKING
        try:
            with suppress(FileNotFoundError):
                self._disk.unlink(new)  # an attempt that was cut off
            self._make(new)
        except OSError as error:
            return error
        failpoint.reached("journal.reserve.made")
        return None

    def take(self, path: Path) -> int:
        """Give the reserve away as the file at `path`; its descriptor.

        Raises:
            OSError: there is none, or it cannot be renamed.
        """
        with self._swapping:
            if self._fd is None:
                raise FileNotFoundError(NAME)
            self._disk.rename(self._folder / NAME, path)
            fd, self._fd = self._fd, None
            return fd

    def close(self) -> None:
        """Let go of the file; it stays."""
        with self._swapping:
            if self._fd is not None:
                self._disk.close(self._fd)
            self._fd = None

    def _make(self, new: Path) -> None:
        fd = self._disk.create(new)
        try:
            self._disk.allocate(fd, self.size)
            self._swap(new, fd)
        except OSError:
            self._disk.close(fd)
            with suppress(OSError):
                self._disk.unlink(new)
            raise

    def _swap(self, new: Path, fd: int) -> None:
        with self._swapping:
            self._disk.rename(new, self._folder / NAME)
            old, self._fd = self._fd, fd
        if old is not None:
            self._disk.close(old)
