"""Rows that come from the journal into the database a second: `python -m tests.bench.audit_drain [ROWS]`.

The database is away while turns end, and is back once none runs any more, as after an outage. Refuses to
count the wait for the next try: time runs from the first row that it is given to the last one it took.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from config.settings import Audit, Settings
from service.audit.row import AuditRow
from service.errors import DatabaseError
from service.seal.vault import Vault
from service.store.audit import AuditStore
from service.store.database import open_database
from tests.bench.audit_cost import audit_over, turn, way_over

ROWS, CROWD = 10_000, 64


class Away:
    """A store of audit rows that takes none until it is said to be back."""

    def __init__(self, rows: AuditStore) -> None:
        self._rows = rows
        self.back = False
        self.taken = self.transactions = 0
        self.began = self.ended = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rows, name)

    async def append(self, rows: Sequence[AuditRow]) -> frozenset[str]:
        """Commit them, where it is back."""
        if not self.back:
            raise DatabaseError("The database is away.")
        self.began = self.began or time.perf_counter()
        fresh = await self._rows.append(rows)
        self.ended = time.perf_counter()
        self.taken += len(rows)
        self.transactions += 1
        return fresh


async def measure(folder: Path, rows: int) -> str:
    """Have turns recorded while the database is away, and it take their rows."""
    settings = Settings(audit=Audit(journal_dir=str(folder / "journal")))
    database = await open_database(f"sqlite:///{folder}/parley.db", Vault())
    away = Away(database.audit)
    audit = await audit_over(settings, database, away)
    way = way_over(audit, audit)
    for _ in range(rows // CROWD):
        await asyncio.gather(*(turn(way) for _ in range(CROWD)))
    away.back = True
    spent = time.process_time()
    while audit.book.ledger.look().rows:  # noqa: ASYNC110 - nobody tells when the last one is there
        await asyncio.sleep(0.05)
    spent = time.process_time() - spent
    await audit.stop()
    await database.close()
    seconds = away.ended - away.began
    return (
        f"{away.taken} rows in {away.transactions} transactions: {away.taken / seconds:,.0f} rows a second, "
        f"{spent * 1e6 / away.taken:.0f} us of CPU a row"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as place:
        told = asyncio.run(measure(Path(place), int(sys.argv[1]) if len(sys.argv) > 1 else ROWS))
    sys.stdout.write(told + "\n")
