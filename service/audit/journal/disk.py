"""What the journal asks of a disk, and the disk of the operating system.

Refuses nothing itself: every fault is the OSError it was.
"""

import fcntl
import os
from pathlib import Path
from typing import Protocol

FOLDER_MODE, FILE_MODE = 0o700, 0o600


class Disk(Protocol):
    """Files by descriptor, folders by path. Everything may raise OSError."""

    def make_folder(self, path: Path) -> None:
        """Make one folder that only its owner may enter; FileExistsError where there is one."""
        ...

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder."""
        ...

    def names(self, path: Path) -> list[str]:
        """What is in a folder, in no order."""
        ...

    def create(self, path: Path) -> int:
        """Make a file that is not there yet and open it to read and write."""
        ...

    def open(self, path: Path) -> int:
        """Open a file to read."""
        ...

    def close(self, fd: int) -> None:
        """Close a descriptor; a lock on it ends."""
        ...

    def lock(self, path: Path) -> int | None:
        """Open a file, made where there is none, and hold its lock; None where somebody else holds it."""
        ...

    def is_at(self, fd: int, path: Path) -> bool:
        """Whether the file that is open is the one at the path."""
        ...

    def write(self, fd: int, data: bytes, offset: int) -> int:
        """Write at an offset; how many bytes were taken."""
        ...

    def read(self, fd: int, size: int, offset: int) -> bytes:
        """Read at an offset; fewer bytes at the end."""
        ...

    def size(self, fd: int) -> int:
        """Bytes of an open file."""
        ...

    def truncate(self, fd: int, size: int) -> None:
        """Cut a file to a size."""
        ...

    def allocate(self, fd: int, size: int) -> None:
        """Set aside room for that many bytes, which read as zeros."""
        ...

    def sync(self, fd: int) -> None:
        """Wait until what was written to a file is on the disk."""
        ...

    def sync_folder(self, path: Path) -> None:
        """Wait until the names in a folder are on the disk."""
        ...

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name; one that had it is gone."""
        ...

    def unlink(self, path: Path) -> None:
        """Remove a name."""
        ...


class OsDisk:
    """The disk of the operating system."""

    def make_folder(self, path: Path) -> None:
        """Make one folder with mode 0700."""
        path.mkdir(FOLDER_MODE)

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder."""
        path.rmdir()

    def names(self, path: Path) -> list[str]:
        """What is in a folder."""
        return os.listdir(path)  # noqa: PTH208 - names are all we want

    def create(self, path: Path) -> int:
        """Make a file with mode 0600."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)

    def open(self, path: Path) -> int:
        """Open a file to read."""
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self, fd: int) -> None:
        """Close a descriptor."""
        os.close(fd)

    def lock(self, path: Path) -> int | None:
        """Hold the flock of a file; None where somebody else does."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        except BaseException:
            os.close(fd)
            raise
        return fd

    def is_at(self, fd: int, path: Path) -> bool:
        """Compare device and inode."""
        try:
            return os.path.samestat(os.fstat(fd), path.stat())
        except FileNotFoundError:
            return False

    def write(self, fd: int, data: bytes, offset: int) -> int:
        """One pwrite."""
        return os.pwrite(fd, data, offset)

    def read(self, fd: int, size: int, offset: int) -> bytes:
        """One pread."""
        return os.pread(fd, size, offset)

    def size(self, fd: int) -> int:
        """Bytes of an open file."""
        return os.fstat(fd).st_size

    def truncate(self, fd: int, size: int) -> None:
        """Cut a file to a size."""
        os.ftruncate(fd, size)

    def allocate(self, fd: int, size: int) -> None:
        """posix_fallocate from the file's beginning."""
        os.posix_fallocate(fd, 0, size)

    def sync(self, fd: int) -> None:
        """One fdatasync."""
        os.fdatasync(fd)

    def sync_folder(self, path: Path) -> None:
        """One fsync of the folder."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name."""
        os.rename(old, new)  # noqa: PTH104 - one call, no second Path

    def unlink(self, path: Path) -> None:
        """Remove a name."""
        os.unlink(path)  # noqa: PTH108 - as rename
