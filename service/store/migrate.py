"""Brings a database to the schema of this program: SQL files, in order, each whole or not at all.

Refuses a database that a newer program has migrated, and one whose migrations were not these.
"""

import hashlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct

from service.errors import DatabaseError
from service.store.connection import immediately

FOLDER = Path(__file__).parent / "migrations"
RECORD = """
CREATE TABLE IF NOT EXISTS schema_migration (
    version INTEGER NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at INTEGER NOT NULL
)
"""


class Migration(Struct, frozen=True, kw_only=True):
    """One step of the schema, read from `{version}_{name}.{dialect}.sql`."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the SQL in hex: a step that has been applied anywhere never changes."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read_migrations(dialect: str, folder: Path = FOLDER) -> tuple[Migration, ...]:
    """Read a dialect's migrations in their order."""
    return tuple(_read(file) for file in sorted(folder.glob(f"*.{dialect}.sql")))


def migrate(migrations: Sequence[Migration], connection: sqlite3.Connection) -> None:
    """Apply what is missing, each migration in one immediate transaction with its record.

    Any number of processes may do so at once: each looks again once it holds the write lock.

    Raises:
        DatabaseError: The database's migrations are not the first ones of these.
    """
    while _missing(migrations, connection):
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


def _read(file: Path) -> Migration:
    version, _, name = file.name.split(".")[0].partition("_")
    return Migration(version=int(version), name=name, sql=file.read_text(encoding="utf-8"))


def _apply_next(migrations: Sequence[Migration], connection: sqlite3.Connection) -> None:
    connection.execute(RECORD)
    for migration in _missing(migrations, connection)[:1]:
        for statement in statements(migration.sql):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO schema_migration (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)",
            (migration.version, migration.name, migration.checksum, time.time_ns() // 1000),
        )


def _missing(migrations: Sequence[Migration], connection: sqlite3.Connection) -> Sequence[Migration]:
    applied = _applied(connection)
    for (version, checksum), known in zip(applied, migrations, strict=False):
        if (version, checksum) != (known.version, known.checksum):
            raise DatabaseError(
                f"Migration {version} of the database is not the one that this program knows."
            )
    if len(applied) > len(migrations):
        raise DatabaseError(
            f"The database is newer than this program: migration {applied[-1][0]} is unknown."
        )
    return migrations[len(applied) :]


def _applied(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_migration'").fetchone():
        return []
    return connection.execute("SELECT version, checksum FROM schema_migration ORDER BY version").fetchall()
