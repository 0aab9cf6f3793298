"""Bytes of a segment -> its intact frames, in order.

Refuses every byte that belongs to no intact frame, counts it as damaged and goes on at the next magic; zeros
at the end are room set aside, not damage.
"""

from collections.abc import Callable, Iterator

from service.audit.journal.frame import HEAD, MAGIC, Frame, frame_at, size_at

CHUNK = 256 << 10
"""Bytes read at once, unless a frame is larger."""

Read = Callable[[int, int], bytes]
"""`read(size, offset)`; fewer bytes at the end."""


class Scan:
    """The frames between two offsets. `at` is where it stands, `damaged` the bytes it skipped."""

    def __init__(self, read: Read, start: int, end: int) -> None:
        self.at, self.damaged = start, 0
        self._read, self._end = read, end
        self._data, self._base = b"", start

    def __iter__(self) -> Iterator[Frame]:
        while self.at < self._end:
            frame = self._frame()
            if frame:
                self.at = frame.end
                yield frame
            else:
                self._skip()

    def peek(self) -> Frame | None:
        """The intact frame that begins where it stands."""
        return self._frame()

    def _frame(self) -> Frame | None:
        if not self._holds(HEAD):
            return None
        size = size_at(self._data, self.at - self._base)
        if not size or not self._holds(size):
            return None
        return frame_at(self._data, self.at - self._base, size, self.at)

    def _holds(self, size: int) -> bool:
        """Have the next `size` bytes in memory; whether there are so many."""
        if self.at + size > self._end:
            return False
        if self.at + size > self._base + len(self._data):
            self._data = self._read(min(max(size, CHUNK), self._end - self.at), self.at)
            self._base = self.at
        return self.at + size <= self._base + len(self._data)

    def _skip(self) -> None:
        """Go to the next magic, or to the end."""
        start = place = self.at
        last = start  # the end of the last byte that is no zero
        while place < self._end:
            data = self._read(min(CHUNK, self._end - place), place)
            found = data.find(MAGIC, 1 if place == start else 0)
            if found >= 0:
                self.damaged += place + found - start
                self.at = place + found
                return
            last = place + len(data.rstrip(b"\0")) if data.strip(b"\0") else last
            # a magic may lie across two chunks
            place += len(data) - len(MAGIC) + 1 if len(data) == CHUNK else self._end
        self.damaged += last - start
        self.at = self._end
