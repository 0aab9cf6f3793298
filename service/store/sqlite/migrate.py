"""Brings a SQLite database to the schema of this program, each migration whole or not at all.

Refuses what `missing` refuses.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from functools import partial

from service.store.migration import Migration, missing
from service.store.sqlite.transaction import immediately

RECORD = """
CREATE TABLE IF NOT EXISTS schema_migration (
    version INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at INTEGER NOT NULL
)
"""


def migrate(migrations: Sequence[Migration], connection: sqlite3.Connection) -> None:
    """Apply what is missing, each migration in one immediate transaction with its record.

    Any number of processes may do so at once: each looks again once it holds the write lock.

    Raises:
        DatabaseError: The database's migrations are not the first ones of these.
    """
    while missing(migrations, _applied(connection)):
        immediately(partial(_apply_next, migrations), connection)


def statements(sql: str) -> Iterator[str]:
    """Cut a script into statements; each ends its line with a semicolon."""
    # Not executescript: it commits the transaction that is open.
    pending = ""
    for line in sql.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip():
        yield pending


def _apply_next(migrations: Sequence[Migration], connection: sqlite3.Connection) -> None:
    connection.execute(RECORD)
    for migration in missing(migrations, _applied(connection))[:1]:
        for statement in statements(migration.sql):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO schema_migration (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)",
            (migration.version, migration.name, migration.checksum, time.time_ns() // 1000),
        )


def _applied(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_migration'").fetchone():
        return []
    return connection.execute("SELECT version, checksum FROM schema_migration ORDER BY version").fetchall()
