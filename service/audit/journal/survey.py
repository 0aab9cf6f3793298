"""How much lies in the journals below a folder, and whose: for whoever looks from outside.

Refuses to change or decrypt anything; what is written meanwhile may be counted or not.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from service.audit.journal.disk import OsDisk
from service.audit.journal.ownership import LOCK, folders
from service.audit.journal.segment import number_of


class Survey(Struct, frozen=True, kw_only=True):
    """Writers' folders, those whose process lives, segments and their bytes.

    `oldest` is when the segment was last written that was so longest ago, in microseconds since 1970 (UTC).
    """

    writers: int
    living: int
    segments: int
    bytes: int
    oldest: int | None


def survey(folder: Path) -> Survey:
    """Look at every writer's folder; a folder that is not there has none.

    Raises:
        OSError: it cannot be looked at.
    """
    writers = [*folders(OsDisk(), folder)]
    files = [each for writer in writers for each in _segments(writer)]
    return Survey(
        writers=len(writers),
        living=sum(map(lives, writers)),
        segments=len(files),
        bytes=sum(each.st_size for each in files),
        oldest=min((each.st_mtime_ns // 1_000 for each in files), default=None),
    )


def lives(writer: Path) -> bool:
    """Whether somebody holds a writer's lock."""
    try:
        fd = os.open(writer / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # removed meanwhile
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def _segments(writer: Path) -> Iterator[os.stat_result]:
    try:
        found = [each for each in writer.iterdir() if number_of(each.name)]
        yield from (each.stat() for each in found)
    except FileNotFoundError:
        return  # removed meanwhile
