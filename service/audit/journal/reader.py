"""The living owner's reader: settled rows from the segments' files, in the order of writing.

Refuses to change anything by reading: only what is released is passed over.
"""

from service.audit.journal.cipher import Cipher
from service.audit.journal.disk import Disk
from service.audit.journal.entry import Kind
from service.audit.journal.reading import Batch, Gathering, Reading, Row
from service.audit.journal.segment import Segment
from service.audit.journal.shelf import Position, Shelf


class Reader:
    """Reads what a shelf's segments hold from `at` on."""

    def __init__(self, disk: Disk, cipher: Cipher, shelf: Shelf) -> None:
        self.at = Position(shelf.current.number, 0)
        self._disk, self._cipher, self._shelf = disk, cipher, shelf

    def take(self, limit: int) -> Batch:
        """The next rows; again without a release: the same.

        Raises:
            OSError: a segment cannot be read.
        """
        gathering, upto = Gathering(limit), self.at
        for segment in self._shelf.since(upto.segment):
            start = upto.offset if segment.number == upto.segment else 0
            upto = Position(segment.number, self._gather(segment, start, gathering))
            if gathering.full:
                break
        if not gathering.rows and not gathering.damaged:
            self.at = upto  # nothing that a release could pass over: not read again
        current = self._shelf.current
        return gathering.batch(upto, more=upto < Position(current.number, current.end))

    def release(self, batch: Batch) -> None:
        """Pass over a batch."""
        self.at = max(self.at, batch.upto)

    def _gather(self, segment: Segment, start: int, gathering: Gathering) -> int:
        """Add a segment's rows from an offset on; the offset at which it stopped."""
        if start >= segment.end:
            return start
        with Reading(self._disk, segment.path, self._cipher, start, segment.end) as reading:
            spent = gathering.spent
            for seq, found in reading:
                if found.kind is Kind.ROW:
                    gathering.rows.append(Row(found.id, seq, found.content))
                gathering.spent = spent + reading.at - start
                if gathering.full:
                    break
            gathering.damaged += reading.damaged
            return reading.at
