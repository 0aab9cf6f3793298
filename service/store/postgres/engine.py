"""Piccolo's engine for PostgreSQL over a pool of connections of asyncpg's.

Refuses to wait without bound: for a connection, for the server, for another's lock, for the end.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any, TypeVar, cast

import asyncpg
from piccolo.querystring import QueryString

from service import failpoint
from service.errors import DatabaseError
from service.store.engine import (
    MISSED,
    UNDONE,
    Ask,
    Batch,
    Load,
    Plain,
    Queue,
    Script,
    StoreEngine,
    Turnstile,
    compiled,
    inserting,
)
from service.store.postgres import walls
from service.store.postgres.faults import CLOSED, DRIVER, FORM, translated
from service.store.postgres.line import Line, Lines, Stateless
from service.store.postgres.walls import setting_of
from service.store.tenancy import EVERYBODY, Everybody, Whose, bound

T = TypeVar("T")

LINES = 10
"""Connections of one process at most; all but one are made when they are needed."""
LINE_SECONDS = 10.0
"""The wait for a connection, a new one's making included: many may come at once, and be late together."""
WORK_SECONDS = 10.0
"""The wait for one piece of work: a statement, or all batches of one `write`."""
CLOSE_SECONDS = 5.0
SERVER_SETTINGS = {
    "application_name": "parley",
    # Milliseconds. The server's own bounds come first: after them the connection is still of use.
    "statement_timeout": "5000",
    "lock_timeout": "4000",
    "idle_in_transaction_session_timeout": "30000",
    # After some runs the server would plan without looking at the values: for "answered" as for what is rare.
    "plan_cache_mode": "force_custom_plan",
    # What asks for a tenant says so in its transaction; see walls.
    walls.SETTING: walls.ALL,
    # A page is small; starting workers for it takes longer than reading it.
    "max_parallel_workers_per_gather": "0",
}
TRANSACTIONS = 7_270_126_600
"""Key of the advisory lock that lets transactions run one after another; the same in every version."""
SCRIPTS, MONEY = 7_270_126_602, 7_270_126_603
"""Keys of the advisory locks that let scripts do so: the audit's sequencer, and the budgets' ledger."""
WALLED = "SELECT row_security_active('audit_event'::regclass)"
SAY = f"SELECT set_config('{walls.SETTING}', $1, true)"
LOCKS = {Queue.LOG: SCRIPTS, Queue.MONEY: MONEY}


class PoolEngine(StoreEngine):
    """One database on a server. Single statements and `write` run at once, up to the pool's size."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._closed = self._walled = False
        self._sequences = {queue: Turnstile() for queue in Queue}
        super().__init__(engine_type="postgres", min_version_number=13)

    async def write(self, *batches: Batch) -> None:
        """Run all batches, in order, in the open transaction or else in one of their own: all or nothing."""
        await self._use(partial(_run_batches if self._held() else _run_batches_alone, batches))

    async def run_script(self, script: Callable[[], Script[T]], queue: Queue = Queue.LOG) -> T:
        """Run a script on a connection of its own, under its queue's advisory lock."""
        lock = LOCKS[queue]
        if self._held():
            return await self._use(partial(_follow, script, lock, walled=self._walled))
        # They would wait for each other on the server, each on a connection that others need.
        async with self._sequences[queue].passed():
            return await self._use(partial(_follow_alone, script, lock, walled=self._walled))

    async def look_for_walls(self) -> None:
        """Find out whether the server keeps rows from us; raises DatabaseError."""
        async with self.lent() as line:
            self._walled = await run_on(line, lambda open_line: open_line.fetchval(WALLED))

    async def ask(self, querystring: QueryString, whose: Whose = EVERYBODY) -> list[dict[str, Any]]:
        """Run one SELECT; where the server has walls, within a tenant's."""
        if isinstance(whose, Everybody) or not self._walled:
            return await super().ask(querystring, whose)
        sql, arguments = bound(querystring, whose, self.engine_type).compile_string(self.engine_type)
        rows = await self._use(partial(_within, setting_of(whose), sql, arguments))
        return [dict(row) for row in rows]

    async def tuples(self, querystring: QueryString) -> list[tuple[Any, ...]]:
        """Run one SELECT that may take long; each row is read as a tuple is."""
        sql, arguments = querystring.compile_string(engine_type=self.engine_type)
        # The driver's own records: copying a million of them takes longer than hashing their texts.
        return cast("list[tuple[Any, ...]]", await self._use(lambda line: line.fetch(sql, *arguments)))

    async def close(self) -> None:
        """Finish what was accepted and close the connections, by force where one does not come back."""
        if self._closed:
            return
        self._closed = True
        # Cancelled too, asyncpg ends them all by itself.
        with suppress(*DRIVER, OSError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._lines.close()

    @asynccontextmanager
    async def lent(self) -> AsyncGenerator[Line]:
        """Borrow a connection; what is not committed when it comes back is undone.

        Raises:
            DatabaseError: None came in time, or the database is closed.
        """
        line = await self._acquire()
        try:
            yield line
        finally:
            # One that has ended is back already, and says so to whoever touches it.
            try:
                with suppress(DatabaseError, *DRIVER, OSError):
                    await _undo(line)
            finally:
                with suppress(*DRIVER, OSError):
                    await self._lines.release(line)

    async def _acquire(self) -> Line:
        if self._closed:
            raise DatabaseError(CLOSED)
        with translated(), _told_by_us():
            async with asyncio.timeout(LINE_SECONDS):
                return await self._lines.acquire()

    async def _run(self, sql: str, arguments: Sequence[object]) -> list[dict[str, Any]]:
        return [dict(row) for row in await self._use(lambda line: line.fetch(sql, *arguments))]

    async def _use(self, work: Callable[[Line], Awaitable[T]]) -> T:
        held = self._held()
        if held:
            return await run_on(held.line, work)
        async with self.lent() as line:
            return await run_on(line, work)

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[Line]:
        async with self.lent() as line:
            await run_on(line, _begin)
            yield line
            await run_on(line, commit)

    def get_version_sync(self) -> float:
        """Piccolo asks before anybody may wait for a server; the newest thing we need is of 13."""
        return 13


async def open_pool(url: str) -> PoolEngine:
    """Open a pool with its first connection.

    Raises:
        DatabaseError: The URL is none, or the server did not let us in; the words repeat nothing of the URL.
    """
    with translated(), _told_by_us():
        async with asyncio.timeout(LINE_SECONDS + CLOSE_SECONDS):
            pool: Any = await asyncpg.create_pool(  # pyright: ignore[reportUnknownMemberType] - untyped
                url,
                # One is made now, to show what is wrong; none is kept alive: asyncpg would log each attempt.
                init_size=1,
                min_size=0,
                max_size=LINES,
                connection_class=Stateless,
                timeout=CLOSE_SECONDS,
                server_settings=SERVER_SETTINGS,
            )
    return PoolEngine(cast("Lines", pool))


async def run_on(line: Line, work: Callable[[Line], Awaitable[T]], seconds: float = WORK_SECONDS) -> T:
    """Do one piece of work on a connection; one that something remains unsaid on is ended.

    Raises:
        DatabaseError: It failed, or its time was up: then nobody knows whether it was done.
    """
    with translated():
        async with asyncio.timeout(seconds):
            with _ending(line):
                return await work(line)


async def commit(line: Line) -> None:
    """Make the transaction's changes last."""
    # A transaction in which a statement has failed is rolled back by COMMIT, and that is no error to asyncpg.
    failpoint.reached("store.commit.before")
    if await line.execute("COMMIT") != "COMMIT":
        raise DatabaseError(UNDONE)
    failpoint.reached("store.commit.after")


async def _begin(line: Line) -> None:
    await line.execute(f"BEGIN; SELECT pg_advisory_xact_lock({TRANSACTIONS})")


async def _within(setting: str, sql: str, arguments: Sequence[object], line: Line) -> Sequence[Any]:
    await line.execute("BEGIN READ ONLY")
    await line.fetch(SAY, setting)
    rows = await line.fetch(sql, *arguments)
    await line.execute("COMMIT")
    return rows


async def _run_batches(batches: Sequence[Batch], line: Line) -> None:
    for batch in batches:
        await line.executemany(batch.sql, batch.rows)


async def _run_batches_alone(batches: Sequence[Batch], line: Line) -> None:
    await line.execute("BEGIN")
    await _run_batches(batches, line)
    await commit(line)


async def _follow_alone(script: Callable[[], Script[T]], lock: int, line: Line, *, walled: bool) -> T:
    await line.execute("BEGIN")
    result = await _follow(script, lock, line, walled=walled)
    await commit(line)
    return result


async def _follow(script: Callable[[], Script[T]], lock: int, line: Line, *, walled: bool) -> T:
    await line.execute(f"SELECT pg_advisory_xact_lock({lock})")
    failpoint.reached("store.script.begun")
    steps = script()
    try:
        step = next(steps)
        while True:
            step = steps.send(await _take(step, line, walled=walled))
    except StopIteration as ended:
        return ended.value


async def _take(step: Ask | Plain | Load, line: Line, *, walled: bool) -> list[dict[str, Any]]:
    if isinstance(step, Load):
        await (_inserted if walled and step.table in walls.WALLED else _copied)(step, line)
        failpoint.reached("store.script.loaded")
        return []
    sql, arguments = compiled(step, "postgres")
    return [dict(row) for row in await line.fetch(sql, *arguments)]


async def _copied(load: Load, line: Line) -> None:
    tag = await line.copy_records_to_table(load.table, records=load.rows, columns=load.columns)
    # A row that a trigger skips would be lost in silence.
    if tag != f"COPY {len(load.rows)}":
        raise DatabaseError(MISSED)


async def _inserted(load: Load, line: Line) -> None:
    """Row by row, in one way there: a server copies nothing into a table whose rows it keeps apart."""
    sql = inserting(load.table, tuple(load.columns), "postgres")
    if len(await line.fetchmany(f"{sql} RETURNING 1", load.rows)) != len(load.rows):
        raise DatabaseError(MISSED)


async def _undo(line: Line) -> None:
    if line.is_in_transaction():
        await run_on(line, lambda open_line: open_line.execute("ROLLBACK"), LINE_SECONDS)


@contextmanager
def _ending(line: Line) -> Generator[None]:
    # Asking the server to cancel needs the very network that may be gone, and waits for it without bound.
    try:
        yield
    except asyncpg.PostgresError:
        raise  # the server's own answer: the connection is in order
    except BaseException:
        line.terminate()
        raise


@contextmanager
def _told_by_us() -> Generator[None]:
    # The driver reads the URL on each connect, and its words about it may quote the password.
    try:
        yield
    except OSError:
        raise  # a certificate that does not hold is a ValueError too
    except (asyncpg.UndefinedObjectError, ValueError, LookupError):
        raise DatabaseError(FORM) from None
