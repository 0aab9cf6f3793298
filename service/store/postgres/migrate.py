"""Brings a PostgreSQL database to the schema of this program, each migration whole or not at all.

Refuses what `missing` refuses, and a database that cannot hold every text.
"""

import time
from collections.abc import Sequence
from functools import partial

from service.errors import DatabaseError
from service.store.migration import Migration, missing
from service.store.postgres.engine import commit, run_on
from service.store.postgres.line import Line

PATIENCE = 3_600.0
"""Seconds for all of it: an index over many rows takes its time."""
LOCK = 7_270_126_601
"""Key of the advisory lock that one migrating process holds at a time; the same in every version."""
PREPARATION = (
    "BEGIN",
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL lock_timeout = '60s'",
    f"SELECT pg_advisory_xact_lock({LOCK})",
)
RECORD = """
CREATE TABLE IF NOT EXISTS schema_migration (
    version BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at BIGINT NOT NULL
)
"""


async def migrate(migrations: Sequence[Migration], line: Line) -> None:
    """Apply what is missing, each migration in one transaction with its record.

    Any number of processes may do so at once: each looks again once it holds the lock.

    Raises:
        DatabaseError: The database's migrations are not the first ones of these, or it is not in UTF-8.
    """
    if await run_on(line, _encoding) != "UTF8":
        raise DatabaseError("The database must be encoded in UTF8.")
    while missing(migrations, await run_on(line, _applied)):
        await run_on(line, partial(_apply_next, migrations), PATIENCE)


async def _apply_next(migrations: Sequence[Migration], line: Line) -> None:
    for statement in (*PREPARATION, RECORD):
        await line.execute(statement)
    for migration in missing(migrations, await _applied(line))[:1]:
        await line.execute(migration.sql)
        await line.fetch(
            "INSERT INTO schema_migration (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)",
            *(migration.version, migration.name, migration.checksum, time.time_ns() // 1000),
        )
    await commit(line)


async def _encoding(line: Line) -> str:
    return await line.fetchval("SELECT current_setting('server_encoding')")


async def _applied(line: Line) -> list[tuple[int, str]]:
    if await line.fetchval("SELECT to_regclass('schema_migration')") is None:
        return []
    rows = await line.fetch("SELECT version, checksum FROM schema_migration ORDER BY version")
    return [(row["version"], row["checksum"]) for row in rows]
