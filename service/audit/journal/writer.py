"""Writes what begins and what became of it, and has it on the disk soon.

Refuses new entries while they cannot be written, never a row: that one goes into room set aside. All methods
are called in one thread; waiting for the disk is done in the syncer's.
"""

from collections.abc import Callable, Coroutine
from pathlib import Path

from service import failpoint
from service.audit.journal.entry import Kind, total
from service.audit.journal.opened import Opened
from service.audit.journal.pen import Pen
from service.audit.journal.reserve import Reserve
from service.audit.journal.segment import Segment
from service.audit.journal.shelf import Position
from service.audit.journal.syncer import Syncer
from service.audit.journal.tail import Tail, Unsynced
from service.company import patience
from service.errors import AuditUnwritable

SOON = 0.02
"""Seconds until a row that nobody waits for is on its way to the disk."""
UNWRITABLE = "The turn cannot be recorded. Please try again in a moment."


class Writer:
    """The writing side of the living owner.

    `read` tells how far rows are released, `carried` is called when older segments may be removable.
    """

    def __init__(self, pen: Pen, reserve: Reserve, syncer: Syncer, folder: Path) -> None:
        self.opened, self.tail = Opened(), Tail()
        self.rows_written = 0
        self.writable, self.fault = True, ""
        self.read: Callable[[], Position] = lambda: Position(0, 0)
        self.carried: Callable[[], None] = lambda: None
        self._pen, self._shelf, self._reserve = pen, pen.shelf, reserve
        self._syncer, self._folder = syncer, folder
        self._faults = 0
        self._mending = False
        self._carry = (0, self._shelf.current.number)  # the ticket after which this segment holds all
        syncer.synced = self._on_synced
        self._mark(self._shelf.current, 0.0)

    def begin(self, kind: Kind, id_: str, content: bytes) -> None:
        """Write an intent or the beginning of a shared row.

        Raises:
            AuditUnwritable: it cannot be written.
        """
        self.opened.begin(id_, self._write_entry(kind, id_, content))

    def add(self, id_: str) -> None:
        """Count one more for an open shared row.

        Raises:
            AuditUnwritable: it cannot be written; it is not counted.
            KeyError: no such row is open.
        """
        content = total(self.opened.count(id_) + 1)
        self.opened.more(id_, self._write_entry(Kind.MORE, id_, content))

    def settle(self, id_: str, content: bytes) -> bool:
        """Write a row; False where that is not possible at all, the entry stays open then."""
        try:
            frame = self._pen.frame(Kind.ROW, id_, content)
        except ValueError:
            return False
        if not any(self._write_row(frame, place) for place in (self._make_way, self._use_reserve, _stay)):
            return False
        self.opened.settle(id_)
        self.rows_written += 1
        return True

    def roll(self) -> bool:
        """Begin a new segment that holds everything open; whether that went well."""
        try:
            self._roll()
        except OSError as error:
            self._fail(error)
            return False
        return True

    async def synced(self) -> bool:
        """Wait until everything written so far is on the disk; False where it could not be."""
        if self.tail.synced >= self.tail.written:
            return True
        if self._syncer.held:  # both the segment and the one after it failed
            return False
        future = self.tail.wait()
        self._syncer.hurry()
        self._syncer.absorb()
        return await future

    async def try_again(self, room: Callable[[], Coroutine[None, None, OSError | None]]) -> bool:
        """See whether writing goes again: `room` sets aside a new reserve, then a new segment is begun."""
        if self.writable:
            return True
        error, faults = await room(), self._faults
        if error:
            self._fail(error)
            return False
        self.writable = self.roll() and await self.synced() and self._faults == faults
        return self.writable

    def _write_entry(self, kind: Kind, id_: str, content: bytes) -> bytes:
        if not self.writable:
            raise AuditUnwritable(UNWRITABLE)
        try:
            frame = self._pen.frame(kind, id_, content)
            self._make_way()
            self._shelf.current.put(frame)
        except ValueError as error:
            raise AuditUnwritable(UNWRITABLE) from error
        except OSError as error:
            self._fail(error)
            raise AuditUnwritable(UNWRITABLE) from error
        self._mark(self._shelf.current, 0.0)
        return frame

    def _write_row(self, frame: bytes, make_place: Callable[[], None]) -> bool:
        try:
            make_place()
            segment = self._shelf.current
            start = segment.put(frame)
        except OSError as error:
            self._fail(error)
            return False
        if segment.allocated:
            failpoint.reached("journal.reserve.written")
        self._note(segment, start, frame)
        self._mark(segment, SOON)
        return True

    def _note(self, segment: Segment, start: int, frame: bytes) -> None:
        segment.last_row = segment.end
        place = Position(segment.number, start)
        self.tail.rows.append(Unsynced(self.tail.written + 1, place, frame))

    def _mark(self, segment: Segment, seconds: float) -> None:
        self._syncer.apart = patience(len(self.opened))
        self._syncer.mark(self.tail.next(), segment.fd, seconds)

    def _make_way(self) -> None:
        current = self._shelf.current
        if current.offset >= current.limit:
            self._roll()

    def _use_reserve(self) -> None:
        try:
            self._pen.use(self._reserve)
        finally:
            self._syncer.mark_folder(self._folder)
        self._syncer.submit(self._reserve.make, lambda _error: None)

    def _roll(self) -> None:
        if self._mending:
            self._write_again()
            return
        old, new = self._shelf.current, self._begin()
        self._pen.carry(self.opened.frames())
        failpoint.reached("journal.roll.carried")
        self._mark(old, 0.0)
        self._mark(new, 0.0)
        self._carry = (self.tail.written, new.number)

    def _begin(self) -> Segment:
        """Begin a segment; its name is synced though its header could not be written: rows may follow."""
        try:
            return self._pen.begin()
        finally:
            self._syncer.mark_folder(self._folder)

    def _write_again(self) -> None:
        """Begin a segment with everything that may not be on the disk; older ones are not asked again."""
        rows = [row for row in self.tail.rows if row.place >= self.read()]
        new = self._begin()
        self._pen.carry(self.opened.frames())
        again = [self._copy(new, row) for row in rows]
        failpoint.reached("journal.roll.carried")
        self._shelf.cut((row.place for row in rows), self.read())
        self.tail.replace(again)
        self._syncer.resume()
        self._mark(new, 0.0)
        self._carry = (self.tail.written, new.number)

    def _copy(self, segment: Segment, row: Unsynced) -> Unsynced:
        start = segment.put(row.frame)
        segment.last_row = segment.end
        return Unsynced(self.tail.written + 1, Position(segment.number, start), row.frame)

    def _on_synced(self, ticket: int, error: OSError | None) -> None:
        if error:
            self._mend(error)
            return
        self._mending = False
        self.tail.advance(ticket)
        if self._carry[0] <= ticket:
            self._shelf.carried = self._carry[1]
            self._shelf.close_before(self._shelf.carried)
            self.carried()

    def _mend(self, error: OSError) -> None:
        """After a failed sync nothing says what is on the disk: write it again, once, elsewhere."""
        again, self._mending = self._mending, True
        if again or not self.roll():
            self._fail(error)
            self.tail.give_up()

    def _fail(self, error: OSError) -> None:
        self._faults += 1
        if self.writable:
            self.fault = f"The journal cannot be written: {error.strerror or error}."
        self.writable = False


def _stay() -> None:
    """Write where the last attempt left off."""
