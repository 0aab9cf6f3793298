"""Clears a database file of deleted text: search index merged, file written anew, write-ahead log emptied.

Refuses to wait for ever: a reader that holds on to an old state keeps the write-ahead log from being emptied.
"""

import asyncio
import sqlite3
from collections.abc import Sequence

from service.errors import DatabaseError
from service.store.sqlite.engine import WalEngine

PAGES = 500
"""Pages of the search index that are merged at a time; others may write in between."""
PAUSE_SECONDS = 0.1
MERGE = "INSERT INTO audit_words (audit_words, rank) VALUES ('merge', ?)"
NOTHING = 2
"""Fewer changes than this by a merge: there is nothing left to merge (https://sqlite.org/fts5.html, 6.8)."""

UNWRITTEN = "The database file could not be written anew, so deleted text may be left in it: {}"
UNEMPTIED = "The write-ahead log could not be emptied while others read; deleted text may be left in it."


async def scrub_file(engine: WalEngine, patience: float) -> Sequence[str]:
    """Do all of it; gives a sentence for each thing that could not be done."""
    await _merge(engine)
    left = await _rewritten(engine)
    return left if await _emptied(engine, patience) else (*left, UNEMPTIED)


async def _merge(engine: WalEngine) -> None:
    """Merge the index into one piece: words that were taken out are in its pieces until then."""
    changed = await engine.alone(lambda connection: merged(connection, -PAGES))
    while changed >= NOTHING:
        changed = await engine.alone(lambda connection: merged(connection, PAGES))


def merged(connection: sqlite3.Connection, pages: int) -> int:
    """Merge so many pages, the first time with a minus; gives how many changes it took."""
    before = connection.total_changes
    connection.execute(MERGE, (pages,))
    return connection.total_changes - before


async def _rewritten(engine: WalEngine) -> Sequence[str]:
    """Write the file anew: a page also keeps copies of what was moved out of it, which no deletion clears."""
    try:
        await engine.alone(lambda connection: connection.execute("VACUUM"))
    except DatabaseError as error:
        return (UNWRITTEN.format(error.detail),)
    return ()


async def _emptied(engine: WalEngine, patience: float) -> bool:
    deadline = asyncio.get_running_loop().time() + patience
    while not await engine.alone(emptied):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(PAUSE_SECONDS)
    return True


def emptied(connection: sqlite3.Connection) -> bool:
    """Move the write-ahead log into the file and cut it to nothing; False while somebody reads from it."""
    busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy
