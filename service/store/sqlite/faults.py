"""What the driver's errors mean, in one sentence each that is safe for a client.

Refuses to repeat the driver's own words: they may name a path, a value or a statement.
"""

import sqlite3
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from service.errors import DatabaseError, RowRefused

UNKNOWN = "The database did not do what it was asked."
UNFIT = "The database cannot hold one of the values."
CLOSED = "The database is closed."
LOCKED = "The database is locked by another writer."

SENTENCES: Mapping[int, str] = MappingProxyType(
    {
        sqlite3.SQLITE_BUSY: LOCKED,
        sqlite3.SQLITE_LOCKED: LOCKED,
        sqlite3.SQLITE_READONLY: "The database is read-only.",
        sqlite3.SQLITE_IOERR: "The disk of the database does not work.",
        sqlite3.SQLITE_CORRUPT: "The database file is damaged.",
        sqlite3.SQLITE_FULL: "The disk of the database is full.",
        sqlite3.SQLITE_CANTOPEN: "The database file cannot be opened.",
        sqlite3.SQLITE_CONSTRAINT: "The database refused the data.",
        sqlite3.SQLITE_TOOBIG: UNFIT,
        sqlite3.SQLITE_MISMATCH: UNFIT,
        sqlite3.SQLITE_NOTADB: "The database file is not a SQLite database.",
    }
)
"""By SQLite's primary result code (https://sqlite.org/rescode.html)."""

REFUSALS = frozenset({sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH})
"""Codes that are about a row's values alone."""


@contextmanager
def translated() -> Generator[None]:
    """Turn any error of the driver or the file system into a DatabaseError that keeps it as its cause.

    One that is about a row's values becomes a RowRefused.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = primary_code(error)
        kind = RowRefused if code in REFUSALS else DatabaseError
        raise kind(SENTENCES.get(code, UNKNOWN)) from error
    except OSError as error:
        raise DatabaseError(f"The database file cannot be opened: {error.strerror}.") from error
    except (OverflowError, UnicodeError) as error:
        raise RowRefused(UNFIT) from error


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code without its extension; 0 for errors that Python's driver made up itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
