"""What a dead writer left: its rows in order, then what it had begun and not settled.

Refuses a living writer's folder, and to remove what it cannot read: a segment of another audit log, of
another key or of an unknown format. Waits for the disk in the caller's thread: keep it off the event loop.
"""

from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Self

from msgspec import Struct

from service import failpoint
from service.audit.journal import ownership
from service.audit.journal.cipher import Cipher
from service.audit.journal.disk import Disk, OsDisk
from service.audit.journal.entry import Entry, Kind, count_of
from service.audit.journal.header import FORMAT, decoded
from service.audit.journal.reading import Batch, Gathering, Reading, Row
from service.audit.journal.segment import number_of
from service.audit.journal.shelf import Position, remove
from service.errors import JournalError

BATCH = 500


class Left(Struct, frozen=True):
    """An entry without a row: an intent (`shared` False), or a shared row that stands for `count`."""

    id: str
    content: bytes
    shared: bool
    count: int


class Estate:
    """A dead writer's folder, its lock held; a context manager.

    `foreign` is why a segment was not read, by its file's name: `log`, `key` or `format`; `damaged` the bytes
    that were skipped. Both are complete once the rows were read.
    """

    def __init__(self, disk: Disk, folder: Path, lock: int, keys: Sequence[bytes], log_id: str) -> None:
        self.writer = folder.name
        self.foreign: dict[str, str] = {}
        self.damaged = 0
        self._disk, self._folder, self._lock, self._log_id = disk, folder, lock, log_id
        self._cipher = Cipher(keys, folder.name, log_id)
        self._open: dict[str, tuple[int, Left]] = {}  # with the segment of the latest copy
        self._held, self._unread = True, True
        found = {number_of(name): folder / name for name in disk.names(folder)}
        self._segments = {number: found[number] for number in sorted(n for n in found if n)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def rows(self, limit: int = BATCH) -> Iterator[Batch]:
        """The rows in the order of writing, at most `limit` at a time.

        After a disk error of the writer's a row may come twice, the same both times.

        Raises:
            JournalError: a segment cannot be read.
        """
        try:
            for number, path in list(self._segments.items()):
                yield from self._rows_of(number, path, limit)
        except OSError as error:
            said = error.strerror or error
            raise JournalError(f"The journal {self._folder} cannot be read: {said}.") from error
        self._unread = False

    def left(self) -> Iterator[Left]:
        """What was not settled, oldest first.

        Raises:
            RuntimeError: not all rows were read yet, so nobody knows.
        """
        self._refuse_unread()
        failpoint.reached("estate.left")
        yield from (left for _, left in list(self._open.values()))

    def forget(self, upto: Position) -> None:
        """Remove segments before this place, whose rows are committed; one with an open entry stays."""
        kept = min((number for number, _ in self._open.values()), default=upto.segment)
        self._remove([number for number in self._segments if number < min(kept, upto.segment)])

    def done(self) -> None:
        """Remove what is left: its rows are committed, and so is what became of the open entries.

        Raises:
            RuntimeError: not all rows were read yet.
        """
        self._refuse_unread()
        self._remove(list(self._segments))
        if not self._segments:
            ownership.clear(self._disk, self._folder)

    def close(self) -> None:
        """Let go of the folder; again: nothing."""
        if self._held:
            self._held = False
            self._disk.close(self._lock)

    def _rows_of(self, number: int, path: Path, limit: int) -> Iterator[Batch]:
        with Reading(self._disk, path, self._cipher) as reading:
            strange = self._strange_header(reading)
            gathering = None
            entries = iter(()) if strange else iter(reading)
            while gathering is None or gathering.full:
                gathering = self._gather(number, reading, entries, limit)
                if gathering.rows:
                    yield gathering.batch(Position(number, reading.at), more=True)
                    failpoint.reached("estate.batch")
            self._judge(path.name, reading, strange)

    def _gather(
        self, number: int, reading: Reading, entries: Iterator[tuple[int, Entry]], limit: int
    ) -> Gathering:
        gathering, start, damaged = Gathering(limit), reading.at, reading.damaged
        for seq, entry in entries:
            if entry.kind is Kind.ROW:
                gathering.rows.append(Row(entry.id, seq, entry.content))
            self._follow(entry, number)
            gathering.spent = reading.at - start
            if gathering.full:
                break
        gathering.damaged = reading.damaged - damaged
        return gathering

    def _follow(self, entry: Entry, number: int) -> None:
        """Know what is open; a carried copy takes the place of the one before."""
        _, known = self._open.get(entry.id, (0, None))
        if entry.kind is Kind.ROW:
            self._open.pop(entry.id, None)
        elif entry.kind is not Kind.MORE:
            count = known.count if known else 1
            left = Left(entry.id, entry.content, entry.kind is Kind.SHARED, count)
            self._open[entry.id] = (number, left)
        elif known:
            self._count(known, count_of(entry.content))

    def _count(self, known: Left, count: int) -> None:
        left = Left(known.id, known.content, known.shared, max(known.count, count))
        self._open[known.id] = (self._open[known.id][0], left)

    def _strange_header(self, reading: Reading) -> str:
        """Why a segment is not for us by its header; empty where it is, or where the header is damaged."""
        frame = reading.first()
        if not frame:
            return ""
        begun = decoded(frame.body)
        if not begun or begun.format != FORMAT:
            return "format"
        return "" if begun.log == self._log_id else "log"

    def _judge(self, name: str, reading: Reading, strange: str) -> None:
        if not strange and not reading.ours:
            strange = reading.unread()
        if strange:
            self.foreign[name] = strange
        else:
            self.damaged += reading.damaged

    def _remove(self, numbers: Sequence[int]) -> None:
        going = [number for number in numbers if self._segments[number].name not in self.foreign]
        failpoint.reached("estate.unlink")
        gone = remove(self._disk, [self._segments[number] for number in going])
        for number in going[:gone]:
            del self._segments[number]

    def _refuse_unread(self) -> None:
        if self._unread:
            raise RuntimeError("The rows of an estate are read before anything else.")


def adopt(
    folder: Path, keys: Sequence[bytes], log_id: str, *, disk: Disk | None = None, skip: Container[str] = ()
) -> Iterator[Estate]:
    """The estates of dead writers below `folder`, each held while it is looked at; never a living one's.

    Args:
        folder: where all journals are.
        keys: the secret bytes they may have been written with, one writer with several in turn.
        log_id: which audit log is asked for.
        disk: the operating system's, unless a test says otherwise.
        skip: names of writers to leave alone, such as those known to be foreign.

    Raises:
        JournalError: a folder cannot be looked at; told after all others.
    """
    disk, unseen = disk or OsDisk(), ""
    for path in ownership.folders(disk, folder):
        if path.name in skip:
            continue
        try:
            lock = ownership.inherit(disk, path)
        except OSError as error:
            unseen = f"The journal {path} cannot be adopted: {error.strerror or error}."
            continue
        if lock is not None:
            failpoint.reached("estate.locked")
            with Estate(disk, path, lock, keys, log_id) as estate:
                yield estate
    if unseen:
        raise JournalError(unseen)
