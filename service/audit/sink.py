"""Hands rows to the store in its own time: an insert that fails or is slow never touches an answer.

Refuses to wait for one row: what the database will never take is put aside, told of and counted. Rows wait in
memory until they are committed; a process that is killed takes them with it.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from logging import ERROR, WARNING
from typing import Protocol

from opentelemetry import metrics

from config.settings import Settings
from service.audit.row import AuditRow, row_of
from service.errors import RowRefused
from telemetry import log, names, sink
from telemetry.failure import words_of
from telemetry.record import TurnOpening, TurnRecord

NAME = "audit"
BATCH = 500
"""Rows a transaction."""
CAPACITY = 100_000
"""Rows that wait while the database is away; the oldest beyond it are dropped, and counted as failures."""
PAUSES = (0.05, 0.5, 2.0, 5.0)
"""Seconds between attempts while the database is away; the last one repeats, at a stop the second."""
STOP_STEPS = 2


class Rows(Protocol):
    """Where rows go; writing a row twice is writing it once."""

    async def append(self, rows: Sequence[AuditRow]) -> None:
        """Commit all of them or none; raises DatabaseError, RowRefused where no other attempt would help."""
        ...


class AuditSink:
    """The audit as a sink; `rows` is given to it before it starts."""

    def __init__(
        self, settings: Settings, *, capacity: int = CAPACITY, pauses: Sequence[float] = PAUSES
    ) -> None:
        del settings  # a sink is made with the settings; this one needs none yet
        self.rows: Rows | None = None
        self._capacity, self._pauses = capacity, pauses
        self._waiting: dict[str, AuditRow] = {}
        self._woken, self._stopping = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        meter = metrics.get_meter(names.SCOPE)
        self._begun = meter.create_counter(names.AUDIT_BEGUN, unit="{row}", description="Audit rows owed")
        self._committed = meter.create_counter(
            names.AUDIT_COMMITTED, unit="{row}", description="Audit rows in the database"
        )

    def opened(self, opening: TurnOpening) -> None:
        """Nothing: a turn is owed a row once it is over."""

    def closed(self, record: TurnRecord) -> None:
        """Owe the store the turn's row."""
        self.note(row_of(record))

    def note(self, row: AuditRow) -> None:
        """Owe the store a row, whatever it is about; it is written in the sink's own time."""
        self._waiting[row.id] = row
        self._begun.add(1)
        if len(self._waiting) > self._capacity:
            self._waiting.pop(next(iter(self._waiting)))
            sink.count_failure(NAME)
        self._woken.set()

    async def start(self) -> None:
        """Write in the background from now on.

        Raises:
            RuntimeError: nobody gave it a store.
        """
        if self.rows is None:
            raise RuntimeError("The audit was given no store to write to.")
        self._begun.add(0)
        self._committed.add(0)
        self._woken, self._stopping = asyncio.Event(), asyncio.Event()  # of the loop that runs now
        self._woken.set()  # a row may wait already
        self._task = asyncio.create_task(self._drain(self.rows), name="audit")

    async def stop(self) -> None:
        """Write what waits, then end. What a cancel leaves unwritten is counted: nobody will write it."""
        self._stopping.set()
        self._woken.set()
        try:
            if self._task:
                await self._task
        finally:
            self._give_up()

    def _give_up(self) -> None:
        if self._waiting:
            sink.count_failure(NAME, len(self._waiting))
            self._complain("stop", "the rows that wait were not written")
            self._waiting.clear()

    async def _drain(self, rows: Rows) -> None:
        failures = 0
        while self._waiting or not self._stopping.is_set():
            await self._woken.wait()
            self._woken.clear()
            while self._waiting:
                failures = 0 if await self._commit(rows) else failures + 1
                if failures:
                    await self._pause(failures)

    async def _commit(self, rows: Rows) -> bool:
        """Write the oldest rows; they leave the queue only once they are committed."""
        try:
            await self._append(rows, tuple(islice(self._waiting.values(), BATCH)))
        except Exception as error:  # noqa: BLE001 - whatever it is, the rows stay and are tried again
            sink.count_failure(NAME)
            self._complain("append", words_of(error))
            return False
        return True

    async def _append(self, rows: Rows, batch: Sequence[AuditRow]) -> None:
        """Write a batch; one that is refused is halved until the row that is to blame stands alone."""
        try:
            await rows.append(batch)
        except RowRefused as error:
            if len(batch) == 1:
                self._put_aside(batch[0], error)
                return
            middle = len(batch) // 2
            await self._append(rows, batch[:middle])
            await self._append(rows, batch[middle:])
        else:
            self._forget(batch)
            self._committed.add(len(batch))

    def _put_aside(self, row: AuditRow, error: RowRefused) -> None:
        self._forget((row,))
        sink.count_failure(NAME)
        self._complain("append", words_of(error), ERROR, id=row.id)

    def _forget(self, rows: Sequence[AuditRow]) -> None:
        for row in rows:
            self._waiting.pop(row.id, None)  # none where it was dropped meanwhile

    async def _pause(self, failures: int) -> None:
        """Wait longer each time; a stop cuts a long wait short, since the database may be back."""
        if self._stopping.is_set():
            await asyncio.sleep(self._pauses[min(failures, len(self._pauses), STOP_STEPS) - 1])
            return
        with suppress(TimeoutError):
            seconds = self._pauses[min(failures, len(self._pauses)) - 1]
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def _complain(self, verb: str, error: str, level: int = WARNING, **known: str) -> None:
        waiting = len(self._waiting)
        log.say(names.SINK_FAILED, level, sink=NAME, verb=verb, error=error, waiting=waiting, **known)
