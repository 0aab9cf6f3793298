"""What is used of asyncpg's connections and pool, typed: the library itself is not.

Refuses session state: nothing is set on a connection that its next borrower would have to undo.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import asyncpg


class Line(Protocol):
    """One connection to the server."""

    async def execute(self, sql: str) -> str:
        """Run one or more statements; gives the last one's command tag."""
        ...

    async def fetch(self, sql: str, *arguments: object) -> Sequence[Any]:
        """Run one statement and give its rows."""
        ...

    async def fetchval(self, sql: str, *arguments: object) -> Any:
        """Run one statement and give the first value of its first row."""
        ...

    async def executemany(self, sql: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Run one statement for each row of arguments."""
        ...

    async def fetchmany(self, sql: str, rows: Iterable[tuple[object, ...]]) -> Sequence[Any]:
        """The same, and give the rows of all of them."""
        ...

    async def copy_records_to_table(
        self, table: str, *, records: Sequence[tuple[object, ...]], columns: Sequence[str]
    ) -> str:
        """Insert rows by COPY; gives the command tag."""
        ...

    def is_in_transaction(self) -> bool:
        """Whether a transaction is open, a failed one too."""
        ...

    def terminate(self) -> None:
        """End it now, without a word to the server."""
        ...


class Lines(Protocol):
    """A pool of them."""

    async def acquire(self) -> Line:
        """Borrow one; waits where all are lent."""
        ...

    async def release(self, line: Line) -> None:
        """Give it back."""
        ...

    async def close(self) -> None:
        """Wait until all are back and close them."""
        ...

    def terminate(self) -> None:
        """End all now."""
        ...


class Stateless(asyncpg.Connection):
    """A connection that needs no reset when it is given back, which saves a round trip each time."""

    def get_reset_query(self) -> str:
        """Nothing to undo."""
        return ""
