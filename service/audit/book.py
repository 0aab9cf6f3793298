"""What the audit writes down at once, by plain calls: intents, rows, floods; in the journal, else in memory.

Refuses to lose a row because a disk is full: what the journal does not take waits in memory for the database.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import structs

from service.audit import entries
from service.audit.gap import Gap
from service.audit.journal import Journal
from service.audit.ledger import Ledger, Waiting
from service.audit.numbers import Number, Numbers
from service.audit.row import AuditRow, counted
from service.errors import AuditUnwritable
from telemetry import sink
from telemetry.record import TurnOpening, TurnRecord

NAME = "audit"
CAPACITY = 10_000
"""Rows kept in memory alone, while the journal cannot be written; further ones are counted as failures."""
UNKEPT = "Nothing can be recorded just now."


class Book:
    """The audit of one process, as it is written; `journal` is None before the start."""

    def __init__(self, folder: Path, capacity: int = CAPACITY) -> None:
        self.journal: Journal | None = None
        self.memory: deque[AuditRow] = deque()
        self.gap, self.ledger = Gap(), Ledger(self.waiting)
        self.size_of_log: Callable[[], int] = lambda: 0
        self.released = 0
        self._folder, self._capacity, self._numbers = folder, capacity, Numbers()
        self._unkept: set[str] = set()
        self._shared: dict[str, AuditRow] = {}
        self._stuck: dict[str, bytes] = {}

    def begin(self, opening: TurnOpening) -> bool:
        """Write a turn's intent; whether it is kept."""
        fact = entries.Begun(self._numbers.open(opening.turn_id), opening)
        try:
            self._living().intend(opening.turn_id, entries.encode(fact))
        except AuditUnwritable:
            self._unkept.add(opening.turn_id)
        self.ledger.begin()  # once it waits somewhere: another thread may look at any time
        return self.kept(opening.turn_id)

    def kept(self, turn_id: str) -> bool:
        """Whether a turn that began has its intent."""
        return turn_id not in self._unkept

    def close(self, row: AuditRow) -> None:
        """Write a row, for good."""
        owed, number = self._numbered(row.id)
        kept = structs.replace(row, writer=self._writer, writer_seq=number.seq, writer_low=number.low)
        self._write(row.id, kept, owed=owed)

    def end(self, record: TurnRecord) -> None:
        """Write that a turn is over, for good; its row is made later."""
        turn_id = record.opening.turn_id
        owed, number = self._numbered(turn_id)
        self._write(turn_id, entries.Closed(self._writer, number.seq, number.low, record), owed=owed)

    def share(self, row: AuditRow) -> None:
        """Write the first of many like rows; it is open until `close_shared`."""
        seq = self._numbers.open(row.id)
        self._shared[row.id] = row
        try:
            self._living().share(row.id, entries.encode(structs.replace(row, writer_seq=seq)))
        except AuditUnwritable:
            self._unkept.add(row.id)
        self.ledger.begin()

    def add(self, row_id: str) -> None:
        """One more stands behind a shared row; memory counts it too."""
        with suppress(AuditUnwritable, KeyError):
            self._living().add(row_id)

    def close_shared(self, row_id: str, count: int) -> None:
        """Write a shared row with what it came to."""
        self.close(counted(self._shared.pop(row_id), count))

    def waiting(self) -> Waiting:
        """What is not in the database, counted where it is."""
        journal, memory = self.journal, len(self.memory)
        if journal is None:
            return Waiting(rows=memory + len(self._numbers))
        entries_open = journal.open_entries - len(self._stuck) + len(self._unkept)
        rows = entries_open + journal.rows_written - self.released + memory
        return Waiting(
            rows=rows,
            bytes=journal.size,
            oldest=journal.oldest,
            log_size=self.size_of_log(),
            disk_free=_free(self._folder),
        )

    def forget(self, rows: Sequence[AuditRow]) -> None:
        """Let go of rows in memory that are committed; some may have given way to others meanwhile."""
        ids = {row.id for row in rows}
        while self.memory and self.memory[0].id in ids:
            self.memory.popleft()

    def settle_again(self) -> None:
        """Settle in the journal what is open there though its row waited in memory: it is owed once more."""
        for row_id, content in tuple(self._stuck.items()):
            if self.journal and self.journal.settle(row_id, content):
                del self._stuck[row_id]
                self.ledger.begin()

    @property
    def _writer(self) -> str | None:
        return self.journal.writer if self.journal else None

    def _numbered(self, row_id: str) -> tuple[bool, Number]:
        """Whether it was owed already, and its number, closed."""
        return row_id in self._numbers, self._numbers.close(row_id)

    def _write(self, row_id: str, fact: entries.Closed | AuditRow, *, owed: bool) -> None:
        content = entries.encode(fact)
        if not self.journal or not self.journal.settle(row_id, content):
            self._remember(entries.row(content))
            if self.journal and owed and row_id not in self._unkept:
                self._stuck[row_id] = content
        self._unkept.discard(row_id)
        if not owed:
            self.ledger.begin()

    def _living(self) -> Journal:
        if self.journal is None:
            raise AuditUnwritable(UNKEPT)
        return self.journal

    def _remember(self, row: AuditRow) -> None:
        self.memory.append(row)
        if len(self.memory) > self._capacity:
            self.memory.popleft()
            sink.count_failure(NAME)


def _free(folder: Path) -> int:
    """Bytes that may still be written there; 0 where nobody knows."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize
