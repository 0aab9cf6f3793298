"""The audit as a sink: an intent before the model is asked, a row after it; in the journal, then the log.

Refuses to wait for disk or database in a turn's way; what a turn may wait for, briefly, it asks for itself.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from logging import WARNING
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from config.settings import Settings
from service import failpoint
from service.audit.book import CAPACITY, NAME, UNKEPT, Book
from service.audit.clerk import PAUSES, Clerk, Estates, Sealing
from service.audit.drain import Drain, Finished, Rows
from service.audit.floods import SECONDS, Floods
from service.audit.journal import Journal, volume
from service.audit.journal.owner import SEGMENT_BYTES
from service.audit.row import AuditRow, row_of
from service.errors import AuditUnwritable
from telemetry import log, names, sink
from telemetry.record import TurnOpening, TurnRecord

SYNC_SECONDS = 1.0
"""That an answer waits for the disk at most; usually it is done before the model has spoken."""
RETRY_MS = 1_000


class Log(Rows, Protocol):
    """The sealed log."""

    @property
    def size(self) -> int:
        """Events in it."""
        ...

    async def log_id(self) -> str:
        """Which one it is; raises DatabaseError."""
        ...


class Equipment(Struct, frozen=True, kw_only=True):
    """What the house gives the audit: where rows go, the journal's keys, who hears of interrupted turns.

    `finished` hears of each dead process whose rows are all in the log.
    """

    rows: Log
    keys: Sequence[bytes]
    tell: Callable[[TurnRecord], None]
    sealing: Sealing | None = None
    finished: Finished | None = None


class AuditSink:
    """The audit as a sink; it is equipped before it starts."""

    def __init__(
        self,
        settings: Settings,
        *,
        capacity: int = CAPACITY,
        pauses: Sequence[float] = PAUSES,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self.equipment: Equipment | None = None
        self._settings, self._pauses, self._segment_bytes = settings.audit, pauses, segment_bytes
        self._folder = Path(settings.audit.journal_dir)
        self.book = Book(self._folder, capacity)
        self._floods = Floods()
        self._clerk: Clerk | None = None
        self._task: asyncio.Task[None] | None = None

    def opened(self, opening: TurnOpening) -> None:
        """Write down that a turn begins."""
        if not self.book.begin(opening) and not self.refuses:
            self.book.gap.add()
        failpoint.reached("sink.opened")

    def closed(self, record: TurnRecord) -> None:
        """Write the turn's row; one of a flood of refusals is added to the row they share."""
        window = self._floods.window(record, time.monotonic())
        if window is None or window.shared_id is None:
            self.book.end(record)
        elif window.shared == 1:
            self.book.share(row_of(record))
            asyncio.get_running_loop().call_later(SECONDS, self._end_floods)
        else:
            self.book.add(window.shared_id)
        self._wake()
        failpoint.reached("sink.closed")

    def note(self, row: AuditRow) -> None:
        """Write a row, whatever it is about."""
        self.book.close(row)
        self._wake()

    @property
    def writer(self) -> str | None:
        """The name of this process's journal; None where it has none."""
        return self.book.journal.writer if self.book.journal else None

    @property
    def fault(self) -> str:
        """One sentence on why the journal cannot be written; empty where it can."""
        return self.book.journal.fault if self.book.journal else ""

    @property
    def refuses(self) -> bool:
        """Whether turns are refused that cannot be written down."""
        return self._settings.unwritable == "refuse"

    def require(self, turn_id: str) -> None:
        """Let a turn go on that is written down.

        Raises:
            AuditUnwritable: it is not, and the settings say that none may run unrecorded.
        """
        if self.refuses and not self.book.kept(turn_id):
            raise AuditUnwritable(UNKEPT, retry_after_ms=RETRY_MS)

    async def begun(self) -> None:
        """Wait, not for long, until what was written down is on the disk."""
        try:
            async with asyncio.timeout(SYNC_SECONDS):
                if self.book.journal:
                    await self.book.journal.synced()
        except TimeoutError:
            log.say(names.JOURNAL_UNSAFE, WARNING, error="The disk did not answer in time.")

    def rotate(self) -> None:
        """Seal the journal with what is now the first of its keys; the others unseal what waits."""
        if self.equipment and self.book.journal:
            self.book.journal.rotate(self.equipment.keys[0])

    async def ended(self) -> None:
        """The same before an answer's end is told, where the settings ask for it."""
        if self._settings.durability == "strict":
            await self.begun()

    async def inherited(self) -> None:
        """Wait until what dead processes left in their journals is in the log, as far as it can be read."""
        if self._clerk:
            await self._clerk.inherited.wait()

    async def start(self) -> None:
        """Open the journal, and work in the background from now on.

        Raises:
            RuntimeError: nobody equipped it.
            JournalError: the journal cannot be opened there.
            DatabaseError: the log does not answer.
        """
        if self.equipment is None:
            raise RuntimeError("The audit was given no store to write to.")
        self.book.ledger.start()
        given, folder = self.equipment, self._folder
        log_id = await given.rows.log_id()
        _cautioned(folder)
        self.book.journal = Journal.open(folder, given.keys[0], log_id, segment_bytes=self._segment_bytes)
        self.book.size_of_log = lambda: given.rows.size
        hear = (given.finished,) if given.finished else ()
        drain = Drain(given.rows, self.book.ledger, given.tell, *hear)
        estates = Estates(folder, given.keys, log_id)
        self._clerk = Clerk(self.book, drain, given.sealing, estates, self._pauses)
        self._clerk.wake()  # a row may wait already
        self._task = asyncio.create_task(self._clerk.work(), name="audit")

    async def stop(self) -> None:
        """Write what waits, then end. What is not in the log stays in the journal, for whoever is next."""
        self._end_floods(0)
        try:
            if self._clerk and self._task:
                self._clerk.stop()
                await self._task
            if self._clerk:
                await self._clerk.seal(force=True)
        finally:
            if self._task:
                self._task.cancel()
            await self._leave()

    async def _leave(self) -> None:
        journal, lost = self.book.journal, len(self.book.memory)
        if lost:
            sink.count_failure(NAME, lost)
            log.say(names.SINK_FAILED, WARNING, sink=NAME, verb="stop", error="rows were lost", waiting=lost)
            self.book.memory.clear()
        if journal:
            self.book.journal, self.book.released = None, 0
            await journal.close()

    def _end_floods(self, seconds: float = SECONDS) -> None:
        for window in self._floods.over(time.monotonic(), seconds):
            if window.shared_id:
                self.book.close_shared(window.shared_id, window.shared)
        self._wake()

    def _wake(self) -> None:
        if self._clerk:
            self._clerk.wake()


def _cautioned(folder: Path) -> None:
    """Say where a journal may not last; raises JournalError where it may not be at all."""
    kind = volume.admit(folder)
    if caution := volume.caution(kind):
        log.say(names.JOURNAL_UNSAFE, WARNING, error=f"The journal is on {kind}: {caution}.")
