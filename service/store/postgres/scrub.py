"""Clears a server's files of deleted text: the tables that hold names and texts are written anew.

Refuses to wait for ever: for a table's lock, and for transactions that can still see what was deleted.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress

from service.errors import DatabaseError
from service.store.postgres.engine import PoolEngine, run_on
from service.store.postgres.line import Line

TABLES = (
    "audit_content",
    "audit_arguments",
    "audit_subject",
    "audit_quarantine",
    "audit_hold",
    "conversation",
    "conversation_turn",
    "idempotency_claim",
    "api_key",
)
STATISTICS = "pg_catalog.pg_statistic"
"""Holds samples of what columns hold: names and texts."""

TABLE_SECONDS = 3_600.0
PAUSE_SECONDS = 0.1
BOUNDS = ("SET statement_timeout = '59min'", "SET lock_timeout = {milliseconds}")
UNBOUND = ("RESET statement_timeout", "RESET lock_timeout")

MARK = "SELECT pg_current_xact_id()::xid::text"
ONLOOKERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND (age(backend_xmin) > age($1::text::xid) OR age(backend_xid) > age($1::text::xid))
"""
"""Who began before the mark and may see what was deleted: a table written anew keeps it for them."""
FILE = "SELECT pg_relation_filenode($1::text::regclass)"

SEEN = "A transaction that began earlier can still see what was erased, so its bytes are kept; {}."
LOCKED = "{} could not be written anew ({}); deleted text may be left in its free space; {}."
LATER = "`parley audit scrub` does it later"


async def scrub_server(engine: PoolEngine, patience: float) -> Sequence[str]:
    """Do all of it; gives a sentence for each thing that could not be done."""
    async with engine.lent() as line, _bounded(line, patience):
        left = [] if await _unseen(line, patience) else [SEEN.format(LATER)]
        for table in TABLES:
            left += await _rewritten(line, table, f"VACUUM (FULL, ANALYZE) {table}")
        return [*left, *await _rewritten(line, STATISTICS, f"VACUUM FULL {STATISTICS}")]


@asynccontextmanager
async def _bounded(line: Line, patience: float) -> AsyncGenerator[None]:
    """Work under bounds of its own; afterwards the connection has its old ones again."""
    for setting in BOUNDS:
        bound = setting.format(milliseconds=round(patience * 1000))
        await run_on(line, lambda known, said=bound: known.execute(said))
    try:
        yield
    finally:
        with suppress(DatabaseError):  # a connection that has ended has no bounds
            for setting in UNBOUND:
                await run_on(line, lambda known, said=setting: known.execute(said))


async def _unseen(line: Line, patience: float) -> bool:
    """Wait until nobody can see what was deleted before now; False where somebody still can."""
    mark = await run_on(line, lambda known: known.fetchval(MARK))
    deadline = asyncio.get_running_loop().time() + patience
    while await run_on(line, lambda known: known.fetchval(ONLOOKERS, mark)):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(PAUSE_SECONDS)
    return True


async def _rewritten(line: Line, table: str, statement: str) -> Sequence[str]:
    """Write a table anew; where that cannot be, free its space at least."""
    try:
        before = await run_on(line, lambda known: known.fetchval(FILE, table))
        await run_on(line, lambda known: known.execute(statement), TABLE_SECONDS)
        if await run_on(line, lambda known: known.fetchval(FILE, table)) != before:
            return ()
        why = "this database user may not, its owner may"
    except DatabaseError as error:
        why = error.detail.rstrip(".")
        with suppress(DatabaseError):
            await run_on(line, lambda known: known.execute(f"VACUUM {table}"), TABLE_SECONDS)
    return (LOCKED.format(table, why, LATER),)
