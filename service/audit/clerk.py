"""The audit's one task: brings rows from journal and memory into the log, and has the log sealed.

Refuses to hurry while turns run: after an outage it pauses as long as it works, so that no answer waits.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from logging import INFO, WARNING
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from service import failpoint
from service.audit import entries
from service.audit.balance import Balance
from service.audit.book import NAME, Book
from service.audit.drain import BATCH, Drain
from service.errors import JournalError
from telemetry import log, names, sink
from telemetry.failure import words_of

PAUSES = (0.05, 0.5, 2.0, 5.0)
"""Seconds between attempts while the database is away, at most; the last one repeats."""
LINGER = 0.05
"""Seconds that a row waits for others to be committed with it: ten in one transaction cost a fifth of ten."""
TICK = 1.0
"""Seconds between looks at what nobody wakes the clerk for."""
ADOPT = 30.0
"""Seconds between looks for dead writers."""
QUIET = 60.0
"""Seconds after which a process seals the log though it has recorded nothing."""
FEW = 64
"""Rows a batch while turns run: it keeps the interpreter for no longer than they notice."""


class Sealing(Protocol):
    """Signs the log's head from time to time."""

    async def seal(self, *, force: bool = False) -> object:
        """Sign it where it is due."""
        ...


class Estates(Struct, frozen=True):
    """Where dead writers' journals are, the keys they may be written with, and the log they are for."""

    folder: Path
    keys: Sequence[bytes]
    log_id: str


class Clerk:
    """Works until it is told to stop; then until nothing is left, or the database does not answer."""

    def __init__(
        self,
        book: Book,
        drain: Drain,
        sealing: Sealing | None,
        estates: Estates | None,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._book, self._drain, self._sealing, self._estates = book, drain, sealing, estates
        self._pauses = pauses
        self._woken, self._stopping = asyncio.Event(), asyncio.Event()
        self.inherited = asyncio.Event()
        """Dead writers were looked for once: what could be read of theirs is in the log."""
        self._adopted_at = self._looked_at = float("-inf")
        self._tried_at = float("-inf")
        self._began = time.monotonic()
        self._failed = False
        self._balance = Balance(lambda: book.ledger.balance)

    def wake(self) -> None:
        """There is something to do."""
        self._woken.set()

    def stop(self) -> None:
        """Finish what is there, then end."""
        self._stopping.set()
        self._woken.set()

    async def work(self) -> None:
        """Do everything, for ever."""
        failures = 0
        while True:
            stopping = self._stopping.is_set()  # before the round: what comes during it is still seen
            try:
                busy = await self._round()
            except Exception as error:  # noqa: BLE001 - whatever it is, the rows stay and are tried again
                failures += 1
                _complain(error, self._book)
                if stopping and failures > len(self._pauses):
                    return
                await self._pause(failures)
                continue
            failures = 0
            if not busy and stopping:
                return
            if not busy:
                await self._wait()

    async def _round(self) -> bool:
        """One batch of each; whether there is more."""
        await self._mend()
        busy = await self._from_memory() | await self._from_journal()
        now = asyncio.get_running_loop().time()
        if not busy or now - self._looked_at >= TICK:  # also where rows never end
            self._looked_at = now
            await self._look_around(now)
        return busy

    async def _from_memory(self) -> bool:
        rows = tuple(self._book.memory)[:BATCH]
        if rows:
            await self._drain.commit(rows)
            self._book.forget(rows)
        return bool(rows)

    async def _from_journal(self) -> bool:
        journal = self._book.journal
        if journal is None:
            return False
        began = asyncio.get_running_loop().time()
        batch = journal.take(FEW if journal.open_entries else BATCH)
        if batch.rows:
            await self._drain.commit([entries.row(each.content) for each in batch.rows])
        self._book.released += len(batch.rows)
        failpoint.reached("clerk.release.before")
        journal.release(batch)
        failpoint.reached("clerk.release.after")
        if journal.open_entries and batch.more:
            await asyncio.sleep(asyncio.get_running_loop().time() - began)
        return bool(batch.rows) or batch.more

    async def _look_around(self, now: float) -> None:
        """What has its own time: dead writers, the seal."""
        if now - self._adopted_at >= ADOPT and not self._stopping.is_set():
            await self._inherit()
            self._adopted_at = now
            self.inherited.set()
        self._balance.look()
        await self.seal()

    async def seal(self, *, force: bool = False) -> None:
        """Have the log sealed; a process that has recorded nothing does not begin with it: it may end."""
        quiet = not self._book.ledger.begun and time.monotonic() - self._began < QUIET
        if self._sealing and (force or not quiet):
            await self._sealing.seal(force=force)

    async def _inherit(self) -> None:
        """Settle dead writers' estates; one that cannot be read stays, and holds up nobody."""
        if self._estates is None:
            return
        try:
            await self._drain.inherit(self._estates.folder, self._estates.keys, self._estates.log_id)
        except JournalError as error:
            _complain(error, self._book)

    async def _mend(self) -> None:
        journal = self._book.journal
        now = asyncio.get_running_loop().time()
        if journal is None or journal.writable or now - self._tried_at < TICK:
            return
        if not self._failed:
            self._failed = True
            log.say(names.JOURNAL_UNSAFE, WARNING, error=journal.fault)
        self._tried_at = now
        if await journal.try_again():
            self._failed = False
            log.say(names.JOURNAL_MENDED, INFO)
            self._book.settle_again()
            if row := self._book.gap.taken():
                self._book.close(row)

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(TICK):
                await self._woken.wait()
            if not self._stopping.is_set():
                await asyncio.sleep(LINGER)
        self._woken.clear()

    async def _pause(self, failures: int) -> None:
        """Wait longer each time, not as long as others; a stop cuts it short: the database may be back."""
        longest = self._pauses[min(failures, len(self._pauses)) - 1]
        with suppress(TimeoutError):
            async with asyncio.timeout(longest * random.uniform(0.5, 1)):  # noqa: S311 - no secret
                await self._stopping.wait()
                await asyncio.sleep(self._pauses[0])


def _complain(error: BaseException, book: Book) -> None:
    sink.count_failure(NAME)
    waiting = book.waiting().rows
    log.say(names.SINK_FAILED, WARNING, sink=NAME, verb="append", error=words_of(error), waiting=waiting)
