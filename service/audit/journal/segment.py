"""One file of a journal that is being written, frame after frame at a tracked offset.

Refuses to leave half a frame before a whole one: what a failed write left is cut off or written over.
"""

import errno
from contextlib import suppress
from pathlib import Path

from service import failpoint
from service.audit.journal import header
from service.audit.journal.disk import Disk
from service.audit.journal.frame import framed

SUFFIX = ".seg"
_DIGITS = 6


def name_of(number: int) -> str:
    """The file's name of a segment; numbers begin at 1."""
    return f"{number:0{_DIGITS}}{SUFFIX}"


def number_of(name: str) -> int | None:
    """The number of a segment by its file's name, None where it is none."""
    stem, dot, suffix = name.rpartition(".")
    return int(stem) if dot + suffix == SUFFIX and stem.isascii() and stem.isdigit() else None


class Segment:
    """An open segment.

    `offset` is where the next frame goes, `end` how far a reader may read, `last_row` the end of the last row
    (0: none), `allocated` the bytes set aside for it, `limit` the offset at which a new segment is due.
    One that is `leaving` is not read any more, one that is `removing` is on its way off the disk.
    """

    def __init__(self, disk: Disk, path: Path, fd: int, begun: header.Header, seq: int) -> None:
        self.path, self.fd, self.number, self.created_at = path, fd, begun.segment, begun.created_at
        self.offset = self.end = self.last_row = self.allocated = self.limit = 0
        self.open, self.leaving, self.removing = True, False, False
        self._disk = disk
        self._header = framed(seq, header.encoded(begun))

    @property
    def size(self) -> int:
        """Bytes that it takes on the disk."""
        return max(self.offset, self.allocated)

    def begin(self) -> None:
        """Write the header alone.

        Raises:
            OSError: it cannot be written; the next `put` tries it again.
        """
        self.put(b"")

    def put(self, frames: bytes) -> int:
        """Write whole frames, after the header where it is not there yet; the offset at which they begin.

        Raises:
            OSError: they cannot be written; the segment is as it was.
        """
        head = b"" if self.offset else self._header
        start = self.offset + len(head)
        self._write(head + frames)
        self.offset += len(head) + len(frames)
        self.end = self.offset
        return start

    def close(self) -> None:
        """Close the file; again: nothing."""
        if self.open:
            self.open = False
            self._disk.close(self.fd)

    def _write(self, data: bytes) -> None:
        failpoint.reached("journal.write.before")
        if failpoint.due("journal.write.half"):
            self._disk.write(self.fd, data[: len(data) // 2], self.offset)
            failpoint.end()
        try:
            if self._disk.write(self.fd, data, self.offset) != len(data):
                raise OSError(errno.ENOSPC, "the disk took only a part")  # noqa: TRY301 - one way back for both
        except OSError:
            # room that was set aside stays: it is all there is on a full disk
            with suppress(OSError):
                self._disk.truncate(self.fd, max(self.offset, self.allocated))
            raise
        failpoint.reached("journal.write.after")
