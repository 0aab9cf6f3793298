"""A store that keeps rows in memory: it waits to be let on, and fails as often as it is told."""

import asyncio

from service.errors import DatabaseError, RowRefused

LOG_ID = "0" * 32


class Store:
    """Keeps rows in order; fails `failures` times first; waits until `open` is set; never takes `poison`."""

    def __init__(self, failures: float = 0) -> None:
        self.batches: list[list[str]] = []
        self.rows = {}
        self.aside: list[str] = []
        self.calls = 0
        self.failures = failures
        self.poison: set[str] = set()
        self.open = asyncio.Event()
        self.open.set()

    @property
    def ids(self) -> list[str]:
        return [each for batch in self.batches for each in batch]

    @property
    def size(self) -> int:
        return len(self.rows)

    overlaps = False

    async def log_id(self) -> str:
        return LOG_ID

    async def append(self, rows) -> frozenset[str]:
        self.calls += 1
        await self.open.wait()
        if self.failures > 0:
            self.failures -= 1
            raise DatabaseError("The database is away.")
        if self.poison & {row.id for row in rows}:
            raise RowRefused("The database refused the data.")
        fresh = [row for row in rows if row.id not in self.rows]
        self.rows |= {row.id: row for row in fresh}
        self.batches += [[row.id for row in fresh]] if fresh else []
        return frozenset(row.id for row in fresh)

    async def quarantine(self, row, reason: str, raw: bytes) -> None:
        assert reason
        assert raw
        self.aside.append(row.id)
