"""Piccolo's engine for SQLite in WAL mode: one connection that writes and one that reads.

Refuses deferred and nested transactions, and Piccolo's `batch` and `atomic` (they swallow errors or nest).
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from msgspec import Struct
from piccolo.engine.base import Engine
from piccolo.query.base import Query
from piccolo.querystring import QueryString

from service.errors import DatabaseError
from service.store.connection import Connection, begin, commit, immediately, inside, roll_back, rows

T = TypeVar("T")

WRITER_PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=1", "recursive_triggers=1")
READER_PRAGMAS = ("query_only=1", "wal_autocheckpoint=0")
"""The reader never checkpoints: SQLite before 3.51.3 may damage a file when two connections do at once."""


class Batch(Struct, frozen=True):
    """One statement and the rows of arguments to run it with; the rows are drawn on the writer's thread."""

    sql: str
    rows: Iterable[tuple[object, ...]]


class Held:
    """A transaction that is open, and the one task that may use it."""

    def __init__(self) -> None:
        self.task = asyncio.current_task()
        self.over = False


class WalEngine(Engine[Any]):
    """One database file, safe to use from any task of one event loop at a time.

    Statements outside a transaction that start with SELECT go to the reader and never wait for a write;
    all others run on the writer, each in an immediate transaction. Every driver's error is a DatabaseError.
    """

    def __init__(self, path: Path, busy_timeout_ms: int) -> None:
        self.current_transaction = ContextVar[Any]("parley_transaction", default=None)
        self.writer = Connection(path, "writer", WRITER_PRAGMAS, busy_timeout_ms)
        self.reader = Connection(path, "reader", READER_PRAGMAS, busy_timeout_ms)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = asyncio.Lock()
        super().__init__(engine_type="sqlite", min_version_number=3.25)

    async def fetch(self, query: Query[Any, Any]) -> list[dict[str, Any]]:
        """Run a Piccolo query on this engine, whichever engine its table was last bound to."""
        return await self.run_querystring(query.querystrings[0])

    async def run_querystring(
        self,
        querystring: QueryString,
        in_pool: bool = False,  # noqa: FBT001, FBT002 - Piccolo's signature
    ) -> Any:
        """Run one compiled statement and give its rows; `in_pool` is ignored."""
        del in_pool
        return await self._run(*querystring.compile_string(engine_type=self.engine_type))

    async def run_ddl(
        self,
        ddl: str,
        in_pool: bool = False,  # noqa: FBT001, FBT002 - Piccolo's signature
    ) -> Any:
        """Run one statement without arguments; `in_pool` is ignored."""
        del in_pool
        return await self._run(ddl, ())

    async def write(self, *batches: Batch) -> None:
        """Run all batches, in order, in the open transaction or else in one of their own: all or nothing."""
        await self._write(partial(_run_batches, batches))

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[None]:
        """Hold the write lock for several statements of this task; commit at the end, roll back on an error.

        Raises:
            DatabaseError: The lock did not come in time, or a transaction is already open.
        """
        if self._held():
            raise DatabaseError("A transaction is already open.")
        async with self._turnstile():
            try:
                await self.writer.run(begin)
                with self._holding():
                    yield
                await self.writer.run(commit)
            except BaseException:
                with suppress(DatabaseError):
                    await self.writer.finish(roll_back)
                raise

    async def close(self) -> None:
        """Finish what was accepted and end both threads; again: nothing."""
        try:
            await self.reader.close()
        finally:
            await self.writer.close()

    async def _run(self, sql: str, arguments: Sequence[object]) -> list[dict[str, Any]]:
        work = partial(rows, sql, arguments)
        if not self._held() and sql.lstrip()[:6].upper() == "SELECT":
            return await self.reader.run(work)
        return await self._write(work)

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._held():
            return await self.writer.run(partial(inside, work))
        async with self._turnstile():
            return await self.writer.run(partial(immediately, work))

    def _held(self) -> bool:
        held: Held | None = self.current_transaction.get()
        if held is None or held.over:
            return False
        # A task that is started inside a transaction inherits it; waiting for the lock there could hang.
        if held.task is not asyncio.current_task():
            raise DatabaseError("A transaction belongs to the task that opened it.")
        return True

    @contextmanager
    def _holding(self) -> Generator[None]:
        held = Held()
        token = self.current_transaction.set(held)
        try:
            yield
        finally:
            held.over = True
            self.current_transaction.reset(token)

    def _turnstile(self) -> asyncio.Lock:
        # A lock belongs to one event loop; a loop that is gone has taken its waiters with it.
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._lock = loop, asyncio.Lock()
        return self._lock

    async def prep_database(self) -> None:
        """Nothing: the connections prepare themselves."""

    async def get_version(self) -> float:
        """As `get_version_sync`."""
        return self.get_version_sync()

    def get_version_sync(self) -> float:
        """SQLite's version as Piccolo compares it: major.minor."""
        major, minor, _ = sqlite3.sqlite_version_info
        return float(f"{major}.{minor}")

    async def batch(self, query: Query[Any, Any], batch_size: int = 100, node: str | None = None) -> NoReturn:
        """Refused: Piccolo's batches swallow exceptions."""
        raise NotImplementedError(query, batch_size, node)

    def atomic(self) -> NoReturn:
        """Refused: `write` and `transaction` say what they hold."""
        raise NotImplementedError


def _run_batches(batches: Sequence[Batch], connection: sqlite3.Connection) -> None:
    for batch in batches:
        connection.executemany(batch.sql, batch.rows)
