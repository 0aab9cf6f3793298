"""Writes one writer's frames into its segments: numbers, encrypts, appends, begins new segments.

Refuses to use a number twice: that of a frame which could not be written is never used again.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from service import failpoint
from service.audit.journal import entry, header
from service.audit.journal.cipher import Cipher
from service.audit.journal.disk import Disk
from service.audit.journal.frame import framed
from service.audit.journal.reserve import Reserve
from service.audit.journal.segment import Segment, name_of
from service.audit.journal.shelf import Shelf

_BLOCK = 1 << 20
"""Bytes carried forward in one write, or one frame."""


class Pen:
    """The writing side of a folder; `folder` is named after the writer, `shelf` holds its segments."""

    def __init__(self, disk: Disk, folder: Path, cipher: Cipher, log_id: str, segment_bytes: int) -> None:
        self._disk, self._folder, self._cipher = disk, folder, cipher
        self._log_id, self._segment_bytes = log_id, segment_bytes
        self._seq = self._number = 0
        self.shelf = Shelf(self._create())
        self.shelf.current.begin()

    def frame(self, kind: entry.Kind, id_: str, content: bytes) -> bytes:
        """The bytes of a new entry.

        Raises:
            ValueError: its id or the whole is too large.
        """
        plain = entry.encoded(kind, id_, content)
        seq = self._next_seq()
        return framed(seq, self._cipher.seal(seq, plain))

    def begin(self) -> Segment:
        """Begin a new segment, which is written from now on, and write its header.

        Raises:
            OSError: it cannot be made, or its header cannot be written yet.
        """
        segment = self._create()
        failpoint.reached("journal.roll.created")
        self.shelf.add(segment)
        segment.begin()
        failpoint.reached("journal.roll.headed")
        return segment

    def carry(self, frames: Iterable[bytes]) -> None:
        """Write frames again, as they are, and let the segment grow by as much before the next is due.

        Raises:
            OSError: they cannot be written, or not all of them.
        """
        segment = self.shelf.current
        for block in _blocks(frames):
            segment.put(block)
        segment.limit = max(self._segment_bytes, 2 * segment.offset)

    def use(self, reserve: Reserve) -> Segment:
        """Write into the reserve from now on.

        Raises:
            OSError: there is none, or it cannot be renamed.
        """
        failpoint.reached("journal.reserve.before")
        path = self._next_path()
        segment = self._segment(path, reserve.take(path))
        segment.allocated = reserve.size
        self.shelf.add(segment)
        failpoint.reached("journal.reserve.renamed")
        return segment

    def _create(self) -> Segment:
        path = self._next_path()
        return self._segment(path, self._disk.create(path))

    def _segment(self, path: Path, fd: int) -> Segment:
        begun = header.header_of(self._folder.name, self._log_id, self._number)
        segment = Segment(self._disk, path, fd, begun, self._next_seq())
        segment.limit = self._segment_bytes
        return segment

    def _next_path(self) -> Path:
        self._number += 1
        return self._folder / name_of(self._number)

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq


def _blocks(frames: Iterable[bytes]) -> Iterator[bytes]:
    block: list[bytes] = []
    size = 0
    for frame in frames:
        block.append(frame)
        size += len(frame)
        if size >= _BLOCK:
            yield b"".join(block)
            block, size = [], 0
    if block:
        yield b"".join(block)
