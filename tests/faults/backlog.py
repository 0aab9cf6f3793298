"""How fast a dead writer's backlog comes into the log: `python -m tests.faults.backlog [TURNS [ENGINE]]`.

Refuses to stop before each row is there: the count of the log is part of the figure.
"""

import asyncio
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

from msgspec import Struct, structs

from config.secret import Secret
from service.audit import entries
from service.audit.drain import Drain
from service.audit.journal import Journal
from service.audit.ledger import Ledger, Waiting
from service.auth.derive import Derived
from service.seal.vault import Vault
from service.store.database import open_database
from telemetry import ids
from tests.harness.postgres import Postgres
from tests.harness.records import CALLER, an_opening, answered
from tests.harness.sql import ask

ROWS = 100_000
DAY = 1_440_000
"""Rows of eight hours at fifty a second."""
USERS = 500
MEGABYTE = 1 << 20
DERIVED = Derived(Secret("a root secret of the tests, long enough for anybody"))
QUERY = "What did we spend in the last quarter, by department? " * 4
COUNT = "SELECT count(*) AS n FROM audit_event"


class Figure(Struct, frozen=True):
    """What one adoption took; memory is the process's resident set, in MiB, before it and at most.

    `ours` and `theirs` are microseconds of processor a row: of this process, and of the server's.
    """

    database: str
    rows: int
    journal: int
    seconds: float
    before: float
    most: float
    ours: float
    theirs: float

    def told(self) -> str:
        """One line."""
        return (
            f"{self.database:10}{self.rows:>10}{self.journal / MEGABYTE:>10.0f}{self.seconds:>9.1f}"
            f"{self.rows / self.seconds:>10.0f}{self.ours:>8.1f}{self.theirs:>8.1f}"
            f"{self.before:>12.0f}{self.most:>9.0f}"
        )


HEAD = (
    f"{'database':10}{'rows':>10}{'MiB':>10}{'seconds':>9}{'rows/s':>10}{'ours':>8}{'theirs':>8}"
    f"{'RSS before':>12}{'at most':>9}"
)


def turn(number: int, writer: str) -> tuple[str, bytes, bytes]:
    """One turn as the audit writes it down: its id, its intent, and the record of its end."""
    turn_id, user = ids.uuid7(), f"user-{number % USERS}"
    caller = structs.replace(CALLER, user_id=user)
    opening = an_opening(turn_id=turn_id, trace_id=token_hex(16), query=QUERY, caller=caller)
    over = entries.Closed(writer, number, number + 1, answered(opening=opening))
    return turn_id, entries.encode(entries.Begun(number, opening)), entries.encode(over)


async def write(folder: Path, log_id: str, turns: int) -> int:
    """A journal of so many turns whose writer is gone; gives its bytes."""
    journal = Journal.open(folder, DERIVED.journals[0], log_id)
    for number in range(1, turns + 1):
        turn_id, begun, over = turn(number, journal.writer)
        journal.intend(turn_id, begun)
        assert journal.settle(turn_id, over)
        if number % 1_000 == 0:
            await journal.synced()
    size = journal.size
    await journal.close()
    return size


async def adopt(url: str, folder: Path, rows: int, theirs: Callable[[], float] = float) -> Figure:
    """Write a journal for the log of this database, then bring it in."""
    database = await open_database(url, Vault(masters=DERIVED.masters))
    log_id = await database.audit.log_id()
    size = await write(folder, log_id, rows)
    drain = Drain(database.audit, Ledger(Waiting), lambda _record: None)
    with resident() as memory:
        start, ours, server = time.perf_counter(), time.process_time(), theirs()
        await drain.inherit(folder, DERIVED.journals, log_id)
        seconds = time.perf_counter() - start
        spent = [1e6 * each / rows for each in (time.process_time() - ours, theirs() - server)]
    await database.close()
    (found,) = ask(url, COUNT)
    assert found["n"] == rows, found
    assert os.listdir(folder) == []  # noqa: PTH208 - nothing is left to do here but to look
    return Figure(url.partition(":")[0], rows, size, seconds, *memory, *spent)


@contextmanager
def resident() -> Generator[list[float]]:
    """Watch this process's memory: what it has now, and the most it has until the block is left."""
    seen, over = [_resident(), 0.0], threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            seen[1] = max(seen[1], _resident())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE


def figures(rows: int, engines: Sequence[str]) -> Iterator[Figure]:
    """Each database, one after the other."""
    place = Path(tempfile.mkdtemp(prefix="parley-backlog-"))
    try:
        if "sqlite" in engines:
            yield asyncio.run(adopt(f"sqlite:///{place}/parley.db", place / "journal", rows))
        if "postgres" in engines:
            with Postgres() as server:
                url, journal = server.database(), place / "journal"
                yield asyncio.run(adopt(url, journal, rows, lambda: server.processor_seconds))
    finally:
        shutil.rmtree(place)


def say(words: Any) -> None:
    """One line, at once."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    say(HEAD)
    asked = sys.argv[1:]
    for figure in figures(int(asked[0]) if asked else ROWS, asked[1:] or ("sqlite", "postgres")):
        say(figure.told())
