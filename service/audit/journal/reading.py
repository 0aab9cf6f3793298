"""One segment's file -> its decrypted entries, in order.

Refuses what is not intact or not ours, and counts it; the first frame is the header and no entry.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Self

from msgspec import Struct

from service.audit.journal import entry
from service.audit.journal.cipher import Cipher
from service.audit.journal.disk import Disk
from service.audit.journal.frame import MAGIC, Frame
from service.audit.journal.scan import Scan
from service.audit.journal.shelf import Position

BUDGET = 1 << 20
"""Bytes read for one batch once it has a row, so that no batch takes long; one more frame at most."""


class Row(Struct, frozen=True, gc=False):
    """A settled row, as it was given to `settle`; `seq` is its frame's number."""

    id: str
    seq: int
    content: bytes


class Batch(Struct, frozen=True):
    """Rows in the order of writing.

    `damaged` is the bytes that were skipped among them, `upto` where the next batch begins, `more` whether
    anything is there to read. No rows: there are none.
    """

    rows: tuple[Row, ...]
    damaged: int
    more: bool
    upto: Position


class Reading:
    """An open segment's file; a context manager. `start` and `end` are offsets, no `end` is the file's.

    `intact` counts the encrypted frames whose checksum holds, `ours` those that decrypt.
    """

    def __init__(
        self, disk: Disk, path: Path, cipher: Cipher, start: int = 0, end: int | None = None
    ) -> None:
        self.intact = self.ours = 0
        self._strange = 0
        self._disk, self._cipher = disk, cipher
        self._fd = disk.open(path)
        self._scan = Scan(self._read, start, disk.size(self._fd) if end is None else end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._disk.close(self._fd)

    def __iter__(self) -> Iterator[tuple[int, entry.Entry]]:
        for frame in self._scan:
            found = self._entry(frame)
            if found:
                yield frame.seq, found

    @property
    def at(self) -> int:
        """The offset after the entry that was given last."""
        return self._scan.at

    @property
    def damaged(self) -> int:
        """Bytes skipped so far."""
        return self._scan.damaged + self._strange

    def first(self) -> Frame | None:
        """The intact frame that a new reading begins with: at the file's beginning its header."""
        return self._scan.peek()

    def unread(self) -> str:
        """Why nothing in a whole segment was ours: `key`, `format`, or empty where nothing was in it."""
        if self.intact:
            return "key"
        begins = self._read(len(MAGIC), 0)
        # torn, some of its bytes may still be zeros
        ours = all(byte in {0, expected} for byte, expected in zip(begins, MAGIC, strict=False))
        return "" if ours else "format"

    def _read(self, size: int, offset: int) -> bytes:
        return self._disk.read(self._fd, size, offset)

    def _entry(self, frame: Frame) -> entry.Entry | None:
        if not frame.start:
            return None
        self.intact += 1
        plain = self._cipher.unseal(frame.seq, frame.body)
        found = entry.decoded(plain) if plain is not None else None
        if found:
            self.ours += 1
        else:
            self._strange += frame.end - frame.start
        return found


class Gathering:
    """The rows of a batch that is being made; `full` at `limit` rows, or some and its budget spent."""

    def __init__(self, limit: int) -> None:
        self.rows: list[Row] = []
        self.damaged = self.spent = 0
        self._limit = limit

    @property
    def full(self) -> bool:
        """Whether the batch is to end here."""
        return len(self.rows) >= self._limit or (self.spent >= BUDGET and bool(self.rows))

    def batch(self, upto: Position, *, more: bool) -> Batch:
        """The batch as it is."""
        return Batch(tuple(self.rows), self.damaged, more, upto)
