"""The segments of the living writer, oldest first.

Refuses to let one go before its rows are consumed and a later one, on the disk, holds all that was open.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from service import failpoint
from service.audit.journal.disk import Disk
from service.audit.journal.segment import Segment


class Position(Struct, frozen=True, order=True):
    """A place in the journal: a segment's number and an offset in it."""

    segment: int
    offset: int


class Shelf:
    """All segments of a writer.

    `current` is the one that is written, `carried` the latest that holds everything open and is on the disk.
    """

    def __init__(self, first: Segment) -> None:
        self.current, self.carried = first, first.number
        self._segments = {first.number: first}

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(segment.size for segment in self._segments.values())

    def add(self, segment: Segment) -> None:
        """Write this one from now on; never an older one again: a copy must not follow what settled it."""
        self._segments[segment.number] = self.current = segment

    def all(self) -> Sequence[Segment]:
        """The segments, also those that are being removed."""
        return list(self._segments.values())

    def since(self, number: int) -> Iterator[Segment]:
        """The segments from that number on; those that were to be removed have nothing to read."""
        return (segment for segment in self.all() if segment.number >= number and not segment.leaving)

    def oldest(self, at: Position) -> Segment | None:
        """The first with a row after a position."""
        unread = (s for s in self._segments.values() if at < Position(s.number, s.last_row))
        return next(unread, None)

    def cut(self, places: Iterable[Position], at: Position) -> None:
        """End segments where rows begin that were written again, but not before what was consumed."""
        for place in places:
            segment = self._segments[place.segment]
            consumed = at.offset if at.segment == place.segment else 0
            segment.end = min(segment.end, max(place.offset, consumed))

    def close_before(self, number: int) -> None:
        """Close the files of older segments: they are whole and on the disk."""
        for segment in self._segments.values():
            if segment.number < number:
                segment.close()

    def leave(self, at: Position) -> Sequence[Segment]:
        """Take the segments that may go now, given what was consumed."""
        older = (
            s for s in self._segments.values() if s.number < self.carried and not s.removing and not s.open
        )
        found = [segment for segment in older if Position(segment.number, segment.last_row) <= at]
        for segment in found:
            segment.leaving = segment.removing = True
        return found

    def forget(self, segments: Sequence[Segment], gone: int) -> None:
        """Strike the first `gone` of these from the shelf; the others are removed another time.

        They are not read again: a file may be gone though the folder could not be synced.
        """
        for place, segment in enumerate(segments):
            segment.removing = False
            if place < gone:
                del self._segments[segment.number]


def remove(disk: Disk, paths: Sequence[Path]) -> int:
    """Remove segments, oldest first; how many are gone.

    Each name is gone from the disk before the next one goes: an intent that came back without the row that
    settled it in a later segment would look open.
    """
    for gone, path in enumerate(paths):
        try:
            failpoint.reached("journal.unlink.before")
            with suppress(FileNotFoundError):
                disk.unlink(path)
            failpoint.reached("journal.unlink.after")
            disk.sync_folder(path.parent)
        except OSError:
            return gone
    return len(paths)
