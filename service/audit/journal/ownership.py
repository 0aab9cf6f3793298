"""Whose folder is whose: a writer holds its folder's lock for its life; whoever gets the lock later inherits.

Refuses a folder that another one is removing: the lock that is held must still lie where it was found.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from service import failpoint
from service.audit.journal.disk import Disk
from service.errors import JournalError

LOCK = "lock"
_WRITER_DIGITS = 32
_ATTEMPTS = 8


def prepare(disk: Disk, top: Path) -> None:
    """Make the top folder and those above it where there are none."""
    try:
        disk.make_folder(top)
    except FileExistsError:
        return
    except FileNotFoundError:
        prepare(disk, top.parent)
        prepare(disk, top)  # somebody else may make it at the same time


def claim(disk: Disk, top: Path) -> tuple[Path, int]:
    """Make a folder for a new writer; the folder, named after it, and the lock's descriptor.

    Raises:
        JournalError: somebody else took each of them before it was locked.
        OSError: it cannot be made.
    """
    for _ in range(_ATTEMPTS):
        folder = top / os.urandom(_WRITER_DIGITS // 2).hex()
        disk.make_folder(folder)
        failpoint.reached("journal.folder.made")
        # an adopter may have looked in between, found nobody, and be about to remove the folder
        fd = inherit(disk, folder)
        if fd is not None:
            failpoint.reached("journal.folder.locked")
            return folder, fd
    raise JournalError(f"Another process takes every folder that is made in {top}.")


def inherit(disk: Disk, folder: Path) -> int | None:
    """Hold the lock of a folder; None where its owner lives, or it is gone."""
    try:
        fd = disk.lock(folder / LOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if fd is None or disk.is_at(fd, folder / LOCK):
        return fd
    disk.close(fd)
    return None


def folders(disk: Disk, top: Path) -> Iterator[Path]:
    """Every writer's folder, in the order of their names."""
    try:
        names = disk.names(top)
    except FileNotFoundError:
        return
    yield from (top / name for name in sorted(names) if _is_writer(name))


def clear(disk: Disk, folder: Path) -> None:
    """Remove a folder without segments, as far as it goes; its lock is held."""
    with suppress(OSError):
        for name in disk.names(folder):
            if name != LOCK:
                disk.unlink(folder / name)
        disk.unlink(folder / LOCK)
        failpoint.reached("estate.rmdir.before")
        disk.remove_folder(folder)
        failpoint.reached("estate.rmdir.after")


def _is_writer(name: str) -> bool:
    return len(name) == _WRITER_DIGITS and set(name) <= set("0123456789abcdef")
