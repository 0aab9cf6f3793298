"""What grows with the log, and what does not: `python -m tests.bench.growth_curve [SIZE ...]`, on SQLite.

Processor time, all threads of this process: of a batch appended and sealed, of a page, of verifying. Refuses
the clock, which others' work moves; and to keep anything.
"""

import asyncio
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from service.audit.signing import log_key
from service.store.database import Database, open_database
from service.store.filters import Filters
from service.web.checkpoints import keys_of
from service.web.whole_log import verify_log
from tests.bench.audit_growth import place, row

SIZES = (10_000, 100_000, 1_000_000)
BATCH, PAGE, TIMES = 500, 50, 15
KEYS = keys_of(log_key(None, [b"s" * 32], "0" * 32))


async def spent(work: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds of processor time."""
    before = time.process_time()
    await work()
    return (time.process_time() - before) * 1000


async def append(database: Database, start: int, chance: random.Random) -> float:
    """Append a batch as the service does; what it took without making the rows."""
    rows = [row(start + number, chance) for number in range(BATCH)]
    return await spent(lambda: database.audit.append(rows))


async def measured(database: Database, size: int, batches: Sequence[float]) -> Mapping[str, float]:
    """What each thing takes now."""

    async def page() -> object:
        return await database.questions.events(Filters(actor="user-1"), PAGE, None)

    pages = [await spent(page) for _ in range(TIMES)]
    verified = await spent(lambda: verify_log(database, KEYS))
    return {
        "events": size,
        "append, us a row": statistics.median(batches[-TIMES:]) * 1000 / BATCH,
        "a page of 50 by actor, ms": statistics.median(pages),
        "verify, us a row": verified * 1000 / size,
    }


async def curve(url: str, sizes: Sequence[int]) -> None:
    """Grow to each size, and look."""
    database, chance = await open_database(url), random.Random(1)  # noqa: S311 - the same each time
    batches: list[float] = []
    try:
        for start in range(0, sizes[-1], BATCH):
            batches.append(await append(database, start, chance))
            if start + BATCH in sizes:
                sys.stdout.write(", ".join(told(await measured(database, start + BATCH, batches))) + "\n")
                sys.stdout.flush()
    finally:
        await database.close()


def told(found: Mapping[str, float]) -> Iterator[str]:
    """The figures in words."""
    yield from (
        f"{name} {value:,.0f}" if value > 100 else f"{name} {value:.2f}" for name, value in found.items()
    )


if __name__ == "__main__":
    with place("sqlite") as where:
        asyncio.run(curve(where, tuple(map(int, sys.argv[1:])) or SIZES))
