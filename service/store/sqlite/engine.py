"""Piccolo's engine for SQLite in WAL mode: a connection that writes, one that reads, one for long questions.

Refuses deferred transactions: one that has begun cannot fail to get the write lock later.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from piccolo.querystring import QueryString

from service import failpoint
from service.errors import DatabaseError
from service.store.engine import (
    MISSED,
    Ask,
    Batch,
    Load,
    Plain,
    Queue,
    Script,
    StoreEngine,
    compiled,
    inserting,
    marked,
)
from service.store.sqlite.connection import Connection, rows, tuples
from service.store.sqlite.glance import Glance
from service.store.sqlite.transaction import alone, begin, commit, immediately, inside, roll_back
from service.store.tenancy import EVERYBODY, Whose, bound

T = TypeVar("T")

WRITER_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "foreign_keys=1",
    "recursive_triggers=1",
    "secure_delete=ON",
    # Beside a trigger SQLite keeps a copy of each page that a row touches: on a disk it would be slow, and it
    # would show what was said.
    "temp_store=MEMORY",
)
READER_PRAGMAS = ("query_only=1", "wal_autocheckpoint=0")
"""The reader never checkpoints: SQLite before 3.51.3 may damage a file when two connections do at once."""


class WalEngine(StoreEngine):
    """One database file.

    Statements outside a transaction that start with SELECT go to the reader and never wait for a write;
    all others run on the writer, each in an immediate transaction.
    """

    def __init__(self, path: Path, busy_timeout_ms: int) -> None:
        self.writer = Connection(path, "writer", WRITER_PRAGMAS, busy_timeout_ms)
        self.reader = Connection(path, "reader", READER_PRAGMAS, busy_timeout_ms)
        self.asker = Connection(path, "asker", READER_PRAGMAS, busy_timeout_ms)
        self._glance = Glance(path, READER_PRAGMAS)
        self._round: dict[tuple[str, tuple[object, ...]], list[dict[str, Any]]] = {}
        super().__init__(engine_type="sqlite", min_version_number=3.25)

    async def write(self, *batches: Batch) -> None:
        """Run all batches, in order, in the open transaction or else in one of their own: all or nothing."""
        await self._write(partial(_run_batches, batches))

    async def run_script(self, script: Callable[[], Script[T]], queue: Queue = Queue.LOG) -> T:
        """Run a script on the writer's thread, under the write lock, whatever its queue."""
        del queue
        return await self._write(partial(_follow, script, self.engine_type))

    async def together(self, script: Callable[[], Script[T]]) -> T:
        """Run a script as one transaction on the writer's thread."""
        return await self.run_script(script)

    async def look_up(self, sql: str, *arguments: object) -> list[dict[str, Any]]:
        """Find a row or none: on this thread where the file is at hand, else as anything is found."""
        if self.reading.reason is None and not self._held():
            known = self._seen(marked(sql, self.engine_type), arguments)
            if known is not None:
                return known
        found = await super().look_up(sql, *arguments)
        if self._glance.lend():
            self.reader.beside(partial(self._glance.warm, marked(sql, self.engine_type), arguments))
        return found

    def _seen(self, sql: str, arguments: tuple[object, ...]) -> list[dict[str, Any]] | None:
        """Look by a glance, once for all who ask the same in one round of the loop.

        All of them came before the round began, and so before the look.
        """
        asked = sql, arguments
        if asked in self._round:
            return self._round[asked]
        if not self._round:
            asyncio.get_running_loop().call_soon(self._round.clear)
        if (known := self._glance.look(sql, arguments)) is not None:
            self._round[asked] = known
        return known

    async def ask(self, querystring: QueryString, whose: Whose = EVERYBODY) -> list[dict[str, Any]]:
        """Run one SELECT that may take long, on a connection of its own."""
        asked = bound(querystring, whose, self.engine_type)
        sql, arguments = asked.compile_string(engine_type=self.engine_type)
        return await self.asker.run(partial(rows, sql, arguments))

    async def tuples(self, querystring: QueryString) -> list[tuple[Any, ...]]:
        """The same, each row as a tuple."""
        sql, arguments = querystring.compile_string(engine_type=self.engine_type)
        return await self.asker.run(partial(tuples, sql, arguments))

    async def alone(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do work on the writer in no transaction, while nobody else in this process writes."""
        async with self._turnstile.passed():
            return await self.writer.run(partial(alone, work))

    async def close(self) -> None:
        """Finish what was accepted and end the threads; again: nothing."""
        try:
            await self.asker.close()
            await self.reader.close()
        finally:
            self._glance.close()  # before the writer: the last one to close makes a checkpoint
            await self.writer.close()

    async def _run(self, sql: str, arguments: Sequence[object]) -> list[dict[str, Any]]:
        work = partial(rows, sql, arguments)
        if not self._held() and sql.lstrip()[:6].upper() == "SELECT":
            return await self.reader.run(work)
        return await self._write(work)

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._held():
            return await self.writer.run(partial(inside, work))
        async with self._turnstile.passed():
            return await self.writer.run(partial(immediately, work))

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[Connection]:
        try:
            await self.writer.run(begin)
            yield self.writer
            await self.writer.run(commit)
        except BaseException:
            with suppress(DatabaseError):
                await self.writer.finish(roll_back)
            raise

    def get_version_sync(self) -> float:
        """SQLite's version as Piccolo compares it: major.minor."""
        major, minor, _ = sqlite3.sqlite_version_info
        return float(f"{major}.{minor}")


def _run_batches(batches: Sequence[Batch], connection: sqlite3.Connection) -> None:
    for batch in batches:
        connection.executemany(batch.sql, batch.rows)


def _follow(script: Callable[[], Script[T]], engine_type: str, connection: sqlite3.Connection) -> T:
    failpoint.reached("store.script.begun")
    steps, found = script(), list[dict[str, Any]]()
    try:
        step = next(steps)
        while True:
            found = _take(step, engine_type, connection)
            step = steps.send(found)
    except StopIteration as ended:
        return ended.value


def _take(step: Ask | Plain | Load, engine_type: str, connection: sqlite3.Connection) -> list[dict[str, Any]]:
    if not isinstance(step, Load):
        sql, arguments = compiled(step, engine_type)
        return rows(sql, arguments, connection)
    sql = inserting(step.table, tuple(step.columns), engine_type)
    # A row that a trigger ignores would be lost in silence.
    if connection.executemany(sql, step.rows).rowcount not in {len(step.rows), -1}:
        raise DatabaseError(MISSED)
    failpoint.reached("store.script.loaded")
    return []
