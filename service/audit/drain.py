"""Rows -> the database: whole batches, what it will never take put aside, dead writers' estates settled.

Refuses to stop at one row: a batch that is refused is halved until the row to blame stands alone.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from logging import ERROR, WARNING
from pathlib import Path
from typing import Protocol, TypeVar

from msgspec import Struct, structs

from service import failpoint
from service.audit import entries
from service.audit.convoy import Convoy
from service.audit.interrupted import in_the_name_of, record_of
from service.audit.journal import Estate, Left, Position, adopt
from service.audit.ledger import Ledger
from service.audit.row import AuditRow, counted, row_of
from service.errors import RowRefused
from telemetry import log, names, sink
from telemetry.failure import words_of
from telemetry.record import TurnRecord

NAME = "audit"
BATCH = 500
"""Rows a transaction of a living process."""
BACKLOG = 1_000
"""Rows of a dead one that make a transaction, and"""
BYTES = 4 << 20
"""bytes of their entries that do; some more at most."""
SLICE = 50
"""Rows that are read at once: the interpreter is held for no longer than a turn would notice."""

T = TypeVar("T")

Finished = Callable[[str], Awaitable[None]]
"""Told by its name that all of a dead writer's rows are in the log; to be told again is harmless."""


class Rows(Protocol):
    """Where rows go; writing a row twice is writing it once."""

    @property
    def overlaps(self) -> bool:
        """Whether it is of use to give the next rows while some are being written."""
        ...

    async def append(self, rows: Sequence[AuditRow]) -> frozenset[str]:
        """Commit all of them or none, and give the ids that were new.

        Raises:
            DatabaseError: nobody knows, or none is there; RowRefused where no other attempt would help.
        """
        ...

    async def quarantine(self, row: AuditRow, reason: str, raw: bytes) -> None:
        """Put a row aside, whole; raises DatabaseError."""
        ...


class Settled(Struct, frozen=True):
    """What became of some rows: the ids that are new in the log, and how many are not in it."""

    fresh: frozenset[str] = frozenset()
    aside: int = 0
    lost: int = 0

    def __add__(self, other: "Settled") -> "Settled":
        return Settled(self.fresh | other.fresh, self.aside + other.aside, self.lost + other.lost)


async def _unheard(writer: str) -> None:
    """Nobody needs to hear it."""
    del writer


class Drain:
    """Commits rows and keeps the ledger; `tell` hears the record of each turn whose process died.

    `finished` hears of each dead process whose rows are all there.
    """

    def __init__(
        self,
        rows: Rows,
        ledger: Ledger,
        tell: Callable[[TurnRecord], None],
        finished: Finished = _unheard,
    ) -> None:
        self._rows, self._ledger, self._tell, self._finished = rows, ledger, tell, finished
        self._strange: set[str] = set()

    async def commit(self, rows: Sequence[AuditRow]) -> Settled:
        """Bring rows into the database, or aside; counted once all of them are.

        Raises:
            DatabaseError: not all are; the same rows may be given again.
        """
        settled = await self._settle(rows)
        self._count(rows, settled)
        return settled

    async def inherit(self, folder: Path, keys: Sequence[bytes], log_id: str) -> None:
        """Settle what dead writers left below a folder.

        Raises:
            DatabaseError, JournalError: not all of it; it is still there.
        """
        estates = adopt(folder, keys, log_id, skip=self._strange)
        try:
            while estate := await asyncio.to_thread(next, estates, None):
                await self._inherit(estate)
        finally:
            await asyncio.to_thread(_close, estates)

    def _count(self, rows: Sequence[AuditRow], settled: Settled) -> None:
        self._ledger.commit(len(rows) - settled.aside - settled.lost)
        self._ledger.put_aside(settled.aside)

    async def _settle(self, rows: Sequence[AuditRow]) -> Settled:
        failpoint.reached("drain.append.before")
        try:
            fresh = await self._rows.append(rows)
        except RowRefused as error:
            if len(rows) == 1:
                return await self._put_aside(rows[0], error)
        else:
            failpoint.reached("drain.append.after")
            return Settled(fresh)
        middle = len(rows) // 2
        return await self._settle(rows[:middle]) + await self._settle(rows[middle:])

    async def _put_aside(self, row: AuditRow, error: RowRefused) -> Settled:
        sink.count_failure(NAME)
        log.say(names.SINK_FAILED, ERROR, sink=NAME, verb="append", error=words_of(error), id=row.id)
        failpoint.reached("drain.aside.before")
        try:
            await self._rows.quarantine(row, error.detail, entries.encode(row))
        except RowRefused:
            return Settled(lost=1)
        failpoint.reached("drain.aside.after")
        return Settled(aside=1)

    async def _inherit(self, estate: Estate) -> None:
        last, pieces = 0, _pieces(estate)
        async with Convoy(ahead=1 if self._rows.overlaps else 0) as convoy:
            while piece := await asyncio.to_thread(next, pieces, None):
                rows, upto = piece
                last = max(last, *(row.writer_seq or 0 for row in rows))
                await convoy.send(self._adopted(rows), partial(_forget, estate, upto))
        await self._finish(estate, last)
        if not estate.foreign:
            await self._finished(estate.writer)
        await asyncio.to_thread(estate.done)
        if estate.foreign or estate.damaged:
            self._report(estate)

    async def _finish(self, estate: Estate, last: int) -> None:
        """Close what the dead writer left open: turns become `interrupted`, shared rows what they came to."""
        left = await asyncio.to_thread(lambda: tuple(estate.left()))
        closed = sorted(map(_closed, left), key=lambda each: each[0].writer_seq or 0)
        numbers = [row.writer_seq or 0 for row, _ in closed]
        lows = [*numbers[1:], max(last, *numbers, 0) + 1]
        rows = [
            structs.replace(row, writer=estate.writer, writer_low=low)
            for (row, _), low in zip(closed, lows, strict=False)
        ]
        settled = await self._adopted(rows)
        for row, record in closed:
            if record and row.id in settled.fresh:
                failpoint.reached("drain.inherit.tell")
                with in_the_name_of(record.opening):
                    self._tell(record)
        failpoint.reached("drain.inherit.told")

    async def _adopted(self, rows: Sequence[AuditRow]) -> Settled:
        """Commit rows that somebody else owed; they are owed by us only once they are there."""
        if not rows:
            return Settled()
        settled = await self._settle(rows)
        self._ledger.begin(len(rows))
        self._count(rows, settled)
        return settled

    def _report(self, estate: Estate) -> None:
        if estate.foreign:
            self._strange.add(estate.writer)
        known = {"writer": estate.writer, "foreign": estate.foreign, "damaged": estate.damaged}
        log.say(names.JOURNAL_STRANGE, WARNING, **known)


def _pieces(estate: Estate) -> Iterator[tuple[Sequence[AuditRow], Position]]:
    """Rows of an estate for one transaction each, and where the next ones begin."""
    rows, size, upto = list[AuditRow](), 0, None
    for batch in estate.rows(SLICE):
        rows += [entries.row(each.content) for each in batch.rows]
        size, upto = size + sum(len(each.content) for each in batch.rows), batch.upto
        if len(rows) >= BACKLOG or size >= BYTES:
            yield rows, upto
            rows, size = [], 0
        time.sleep(0)  # lets the event loop have the interpreter: it writes the rows before these
    if upto and rows:
        yield rows, upto


async def _forget(estate: Estate, upto: Position) -> None:
    failpoint.reached("drain.inherit.forget")
    await asyncio.to_thread(estate.forget, upto)


def _closed(left: Left) -> tuple[AuditRow, TurnRecord | None]:
    """The row of what was left open, and the record where it was a turn."""
    if left.shared:
        return counted(entries.row(left.content), left.count), None
    begun = entries.begun(left.content)
    record = record_of(begun.opening)
    return structs.replace(row_of(record), writer_seq=begun.seq), record


def _close(estates: Iterator[Estate]) -> None:
    """Let go of the estate that is open, where one is."""
    getattr(estates, "close", lambda: None)()
