"""Many processes on one file: some append, some read, some open, append one row and close.

`PARLEY_STEPS` is how many batches each appending process writes.
"""

import asyncio
import os
import subprocess
import sys

import pytest

from service.seal.leaf import COLUMNS, GENESIS, canonical, chain_hash, leaf_hash
from service.seal.merkle import Frontier
from service.store.database import open_database
from tests.harness.sql import ask
from tests.service.store.rows import batch_of

STEPS = int(os.environ.get("PARLEY_STEPS", "15"))
BATCH = 50
APPENDERS, VISITORS, READERS = 2, 2, 1

PROGRAM = """
import asyncio, sys
from service.store.database import open_database
from service.store.filters import Filters
from tests.service.store.rows import Row, batch_of
url, kind, name, steps, size = *sys.argv[1:4], *map(int, sys.argv[4:])
async def append():
    database = await open_database(url, busy_timeout_ms=60_000)
    for number in range(steps):
        await database.audit.append(batch_of(f"{name}-{number:05}", size))
        await database.audit.append(batch_of(f"{name}-{number:05}", size))
    await database.close()
async def visit():
    for number in range(steps):
        database = await open_database(url, busy_timeout_ms=60_000)
        await database.audit.append([Row(id=f"{name}-{number:05}")])
        await database.close()
async def read():
    for number in range(steps):
        database = await open_database(url, busy_timeout_ms=60_000)
        for _ in range(10):
            async for events in database.questions.pages(Filters(q="spend"), 100):
                assert all(event.metadata["query"] for event in events)
                break
        await database.close()
asyncio.run({"append": append, "visit": visit, "read": read}[kind]())
"""


def started(url, kind, number):
    arguments = [url, kind, f"{kind}{number}", str(STEPS), str(BATCH)]
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM, *arguments], stderr=subprocess.PIPE
    )


def ended(process):
    _, told = process.communicate()
    return process.returncode, told


@pytest.fixture
async def soaked(url):
    await (await open_database(url)).close()
    kinds = {"append": APPENDERS, "visit": VISITORS, "read": READERS}
    processes = [started(url, kind, number) for kind, many in kinds.items() for number in range(many)]
    endings = await asyncio.gather(*(asyncio.to_thread(ended, process) for process in processes))
    assert endings == [(0, b"")] * len(processes)
    return url


async def test_the_file_is_whole_and_each_row_is_in_it_once(soaked):
    assert ask(soaked, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    batches = [f"append{who}-{number:05}" for who in range(APPENDERS) for number in range(STEPS)]
    expected = {row.id for name in batches for row in batch_of(name, BATCH)}
    expected |= {f"visit{who}-{number:05}" for who in range(VISITORS) for number in range(STEPS)}
    rows = ask(soaked, "SELECT * FROM audit_event ORDER BY log_index")
    assert (len(rows), {row["id"] for row in rows}) == (len(expected), expected)
    assert_sealed(rows)
    tiles = ask(soaked, "SELECT level, number, root FROM audit_tile ORDER BY level, number")
    grown = Frontier().extend([row["leaf_hash"] for row in rows]).tiles
    assert [tuple(tile.values()) for tile in tiles] == sorted(
        (each.level, each.index, each.root) for each in grown
    )
    found = ask(soaked, "SELECT count(*) AS n FROM audit_words WHERE audit_words MATCH '\"spend\"'")
    assert found == [{"n": len(expected)}]


def assert_sealed(rows):
    """Worked out from the columns alone."""
    chain = GENESIS
    for index, row in enumerate(rows):
        leaf = leaf_hash(canonical([row[column] for column in COLUMNS]))
        chain = chain_hash(chain, leaf)
        assert (row["log_index"], row["leaf_hash"], row["chain_hash"]) == (index, leaf, chain)
