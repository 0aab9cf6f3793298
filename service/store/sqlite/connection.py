"""One SQLite connection on a thread of its own: work on it runs alone, and in the order in which it came.

Refuses to be interrupted half-way: a wait can be cancelled, work that has begun runs to its end.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from service.errors import DatabaseError
from service.store.sqlite.faults import CLOSED, primary_code, translated
from service.store.sqlite.lock import FileLock
from service.store.words import says

T = TypeVar("T")

RETRY_SECONDS = 0.01


class Locking(sqlite3.Connection):
    """A connection that knows the lock of its file."""

    lock: FileLock


class Connection:
    """A lazily opened connection to the file at `path`.

    `pragmas` are set on each opening; a lock of another process is waited for up to `busy_timeout_ms`.
    A forgotten connection does not keep the process alive: the interpreter ends an executor's idle thread.
    """

    def __init__(self, path: Path, name: str, pragmas: Sequence[str], busy_timeout_ms: int) -> None:
        self._path = path
        self._connect = partial(connect, path, pragmas, busy_timeout_ms / 1000)
        self._connection: Locking | None = None
        self._file: tuple[int, int] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"parley-store-{name}")

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the work and give its result; cancelled before its begin it is not done at all.

        Raises:
            DatabaseError: The driver failed, or the connection is closed.
        """
        return await asyncio.wrap_future(self._submit(work))

    async def finish(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the work in any case, also when the wait for it is cancelled."""
        return await asyncio.shield(asyncio.wrap_future(self._submit(work)))

    def beside(self, work: Callable[[], None]) -> None:
        """Do work on the thread that is not the connection's, unless it is closed. It must not raise."""
        with suppress(RuntimeError):
            self._thread.submit(work)

    async def close(self) -> None:
        """Finish all work that was accepted, close the connection and end the thread; again: nothing."""
        try:
            closing = self._thread.submit(self._close)
        except RuntimeError:
            return
        self._thread.shutdown(wait=False)
        with suppress(DatabaseError):
            await asyncio.shield(asyncio.wrap_future(closing))
        self._thread.shutdown(wait=True)

    def _submit(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        try:
            return self._thread.submit(self._use, work)
        except RuntimeError as error:
            raise DatabaseError(CLOSED) from error

    def _use(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with translated():
            if self._connection is None:
                self._connection = self._connect()
                self._file = identity(self._path)
            self._refuse_another_file()
            return work(self._connection)

    def _close(self) -> None:
        if self._connection is None:
            return
        lock = self._connection.lock
        try:
            # The last one to close checkpoints. Whoever has the lock is open, and then we are not the last.
            with suppress(OSError):
                lock.take(patience=0)
            with translated():
                self._connection.close()
        finally:
            lock.close()

    def _refuse_another_file(self) -> None:
        # SQLite writes on into a file that was unlinked or replaced; every such row would be lost.
        if self._file is None or identity(self._path) != self._file:
            raise DatabaseError("The database file was moved or replaced; the service must be restarted.")


def identity(path: Path) -> tuple[int, int] | None:
    """Which file is at a path; None where none is."""
    with suppress(OSError):
        found = os.stat(path)  # noqa: PTH116 - half the time of Path's own, for each look at a key
        return found.st_dev, found.st_ino
    return None


def connect(
    path: Path, pragmas: Sequence[str], busy_timeout: float, *, check_same_thread: bool = True
) -> Locking:
    """Open an existing file and set the pragmas; `busy_timeout` in seconds."""
    # mode=rw: a file that vanished is not silently made anew with another mode.
    connection = sqlite3.connect(
        f"file:{quote(bytes(path))}?mode=rw",
        timeout=busy_timeout,
        isolation_level=None,
        check_same_thread=check_same_thread,
        uri=True,
        factory=Locking,
    )
    connection.lock = FileLock(path, busy_timeout)
    connection.create_function("parley_says", 2, says, deterministic=True)
    try:
        for pragma in pragmas:
            _set(connection, pragma, time.monotonic() + busy_timeout)
    except BaseException:
        connection.close()
        raise
    return connection


def rows(sql: str, arguments: Sequence[object], connection: sqlite3.Connection) -> list[dict[str, object]]:
    """Run one statement and give all its rows, by column name."""
    cursor = connection.execute(sql, arguments)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def tuples(sql: str, arguments: Sequence[object], connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """Run one statement and give all its rows; what is no UTF-8 comes as surrogates, which nothing hashes."""
    try:
        return connection.execute(sql, arguments).fetchall()
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):  # it is ours to decode, not the database's: there is no code
            raise
    connection.text_factory = _escaping
    try:
        return connection.execute(sql, arguments).fetchall()
    finally:
        connection.text_factory = str


def _escaping(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _set(connection: sqlite3.Connection, pragma: str, deadline: float) -> None:
    # The change to WAL does not wait for its lock by the busy timeout; several processes may start at once.
    while True:
        try:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(RETRY_SECONDS)
        else:
            return
