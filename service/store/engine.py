"""What the stores ask of a database engine, and who may use an open transaction.

Refuses nested transactions, other tasks inside one, and Piccolo's `batch` and `atomic` (they swallow errors).
"""

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from contextvars import ContextVar
from enum import Enum
from functools import cache
from itertools import count
from typing import Any, NoReturn, TypeVar

from msgspec import Struct
from piccolo.engine.base import Engine
from piccolo.query.base import Query
from piccolo.querystring import QueryString

from service.errors import DatabaseError
from service.store.outage import PROMPT_SECONDS, Outage
from service.store.tenancy import EVERYBODY, Whose, bound

T = TypeVar("T")

UNDONE = "The transaction was rolled back by the database."
SIGN = "SELECT id FROM revoked_session LIMIT 1"
"""Asks for a sign of life that no cache of ours can give."""


class Batch(Struct, frozen=True):
    """One statement and the rows of arguments to run it with; the rows may be drawn on another thread."""

    sql: str
    rows: Iterable[tuple[object, ...]]


class Ask(Struct, frozen=True):
    """A step of a script: run one statement and give its rows."""

    query: QueryString


class Plain(Struct, frozen=True):
    """The same of a statement whose `{}` are its arguments, which are plain values: it is read only once."""

    sql: str
    arguments: tuple[object, ...] = ()


class Load(Struct, frozen=True):
    """A step of a script: insert rows into a table, all of them, as fast as the engine can."""

    table: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[object, ...]]


class Queue(Enum):
    """Whose scripts run one after another, over all processes; on SQLite all do."""

    LOG = "log"
    """The audit's sequencer."""
    MONEY = "money"
    """The budgets' ledger. Who has the log may wait for it, never the other way round."""


Script = Generator[Ask | Plain | Load, list[dict[str, Any]], T]
"""Steps of one transaction, each drawn once the one before is done; what it returns is the result."""

MISSED = "The database did not take every row."


class Held:
    """A transaction that is open: the one task that may use it, and what it runs on."""

    def __init__(self, line: Any) -> None:
        self.task = asyncio.current_task()
        self.line = line
        self.over = False


class Turnstile:
    """Lets the tasks of a process through one at a time, in the order in which they came."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = asyncio.Lock()

    def passed(self) -> asyncio.Lock:
        """What to hold while one is through."""
        # A lock belongs to one event loop; a loop that is gone has taken its waiters with it.
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._lock = loop, asyncio.Lock()
        return self._lock


@cache
def marked(sql: str, engine_type: str) -> str:
    """A statement with the marks that the engine has for arguments, where it has `{}`."""
    first, *others = sql.split("{}")
    marks = ("?" if engine_type == "sqlite" else f"${number}" for number in count(1))
    return first + "".join(mark + other for mark, other in zip(marks, others, strict=False))


@cache
def inserting(table: str, columns: tuple[str, ...], engine_type: str) -> str:
    """An INSERT of one row into a table of ours."""
    marks = ", ".join(["{}"] * len(columns))
    return marked(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", engine_type)  # noqa: S608 - our own names


def compiled(step: Ask | Plain, engine_type: str) -> tuple[str, Sequence[object]]:
    """A step's statement and arguments as the driver takes them."""
    if isinstance(step, Plain):
        return marked(step.sql, engine_type), step.arguments
    return step.query.compile_string(engine_type=engine_type)


class StoreEngine(Engine[Any]):
    """One database, safe to use from any task of one event loop; every driver's error is a DatabaseError."""

    def __init__(self, engine_type: str, min_version_number: float) -> None:
        self.current_transaction = ContextVar[Any]("parley_transaction", default=None)
        self._turnstile = Turnstile()
        self.reading = Outage(self._read, PROMPT_SECONDS)
        self.writing = Outage(self._begin_and_end, beneath=self.reading)
        super().__init__(engine_type=engine_type, min_version_number=min_version_number)

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

    async def run(self, sql: str, *arguments: object) -> list[dict[str, Any]]:
        """Run one statement whose `{}` are its arguments, which are plain values, and give its rows."""
        return await self._run(marked(sql, self.engine_type), arguments)

    async def look_up(self, sql: str, *arguments: object) -> list[dict[str, Any]]:
        """Find a row or none, for somebody who waits to be let in; not for long, nor for a write."""
        async with self.reading.looking():
            return await self.run(sql, *arguments)

    async def together(self, script: Callable[[], Script[T]]) -> T:
        """Run a script as one transaction, as `transaction` does: by one way there and back where that goes.

        Raises:
            DatabaseError: nothing of it lasts, or nobody knows whether it does.
        """
        async with self.transaction():
            steps = script()
            try:
                step = next(steps)
                while True:
                    step = steps.send(await self._step(step))
            except StopIteration as ended:
                return ended.value

    async def _step(self, step: Ask | Plain | Load) -> list[dict[str, Any]]:
        assert not isinstance(step, Load)  # noqa: S101 - what is loaded is a server's own business
        return await self._run(*compiled(step, self.engine_type))

    async def ask(self, querystring: QueryString, whose: Whose = EVERYBODY) -> list[dict[str, Any]]:
        """Run one SELECT that may take long, outside any transaction; nobody waits behind it to sign in.

        Of a tenant's tables it sees the rows of that tenant alone.
        """
        return await self.run_querystring(bound(querystring, whose, self.engine_type))

    @abstractmethod
    async def tuples(self, querystring: QueryString) -> list[tuple[Any, ...]]:
        """The same, each row as a tuple: for those who read a whole log."""

    async def run_ddl(
        self,
        ddl: str,
        in_pool: bool = False,  # noqa: FBT001, FBT002 - Piccolo's signature
    ) -> Any:
        """Run one statement without arguments; `in_pool` is ignored."""
        del in_pool
        return await self._run(ddl, ())

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[None]:
        """Run several statements of this task as one; commit at the end, roll back on an error.

        Transactions run one after another, those of other processes too, so that what one has read is
        still so when it writes; only `write` and single statements may come between on a server.

        Raises:
            DatabaseError: The turn did not come in time, or a transaction is already open.
        """
        if self._held():
            raise DatabaseError("A transaction is already open.")
        async with self._turnstile.passed(), self._opened() as line:
            with self._holding(line):
                yield

    @abstractmethod
    async def write(self, *batches: Batch) -> None:
        """Run all batches, in order, in the open transaction or else in one of their own: all or nothing."""

    @abstractmethod
    async def run_script(self, script: Callable[[], Script[T]], queue: Queue = Queue.LOG) -> T:
        """Run a script in a transaction of its own; those of a queue run one after another.

        Raises:
            DatabaseError: Nothing of it lasts, or nobody knows whether it does.
        """

    @abstractmethod
    async def close(self) -> None:
        """Finish what was accepted and end; further work is a DatabaseError, closing again is nothing."""

    @abstractmethod
    async def _run(self, sql: str, arguments: Sequence[object]) -> list[dict[str, Any]]: ...

    @abstractmethod
    def _opened(self) -> AbstractAsyncContextManager[Any]:
        """Begin a transaction and give what it runs on; then commit, or roll back on an error."""

    async def _read(self) -> None:
        await self.run_querystring(QueryString(SIGN))

    async def _begin_and_end(self) -> None:
        async with self.transaction():
            pass

    def _held(self) -> Held | None:
        held: Held | None = self.current_transaction.get()
        if held is None or held.over:
            return None
        # A task that is started inside a transaction inherits it; waiting for its end there could hang.
        if held.task is not asyncio.current_task():
            raise DatabaseError("A transaction belongs to the task that opened it.")
        return held

    @contextmanager
    def _holding(self, line: Any) -> Generator[None]:
        held = Held(line)
        token = self.current_transaction.set(held)
        try:
            yield
        finally:
            held.over = True
            self.current_transaction.reset(token)

    async def prep_database(self) -> None:
        """Nothing: the schema is the migrations' part."""

    async def get_version(self) -> float:
        """As `get_version_sync`."""
        return self.get_version_sync()

    async def batch(self, query: Query[Any, Any], batch_size: int = 100, node: str | None = None) -> NoReturn:
        """Refused: Piccolo's batches swallow exceptions."""
        raise NotImplementedError(query, batch_size, node)

    def atomic(self) -> NoReturn:
        """Refused: `write` and `transaction` say what they hold."""
        raise NotImplementedError
