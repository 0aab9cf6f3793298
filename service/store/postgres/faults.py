"""What the server's and the driver's errors mean, in one sentence each that is safe for a client.

Refuses to repeat their own words: they may name a host, a user, a value or a statement.
"""

import errno
import os
import ssl
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

import asyncpg

from service.errors import DatabaseError, RowRefused
from service.store.outage import SILENT

UNKNOWN = "The database did not do what it was asked."
UNFIT = "The database cannot hold one of the values."
CLOSED = "The database is closed."
UNREACHABLE = "The database server cannot be reached"
FORM = (
    "DATABASE_URL must be sqlite:///file.db or postgresql://user:password@host:port/database, with "
    "special characters percent-encoded and only options that PostgreSQL knows."
)

SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "08": f"{UNREACHABLE}: the connection was lost.",
        "22": UNFIT,
        "23": "The database refused the data.",
        "25006": "The database is read-only.",
        "28": "The database server does not let this user in.",
        "3D": "The database server has no such database.",
        "40": "The database gave way to another writer.",
        "42501": "The database does not permit this to its user.",
        "53100": "The disk of the database is full.",
        "53300": "The database server takes no more connections.",
        "54000": UNFIT,  # an index has no room for so long a value
        "55P03": "The database is locked by another writer.",
        "57014": SILENT,
        "57P": "The database server is starting or stopping.",
        "58030": "The disk of the database does not work.",
        "XX001": "The database is damaged.",
        "XX002": "The database is damaged.",
    }
)
"""By the beginning of the SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""

REFUSALS = "22", "23", "54000"
"""Beginnings of the SQLSTATEs that are about a row's values alone; the driver's own doubts have one too."""

FILES = FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError
DRIVER = asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError


@contextmanager
def translated() -> Generator[None]:
    """Turn any error of the driver or the network into a DatabaseError that keeps it as its cause.

    One that is about a row's values becomes a RowRefused.
    """
    try:
        yield
    except (*DRIVER, OSError) as error:
        kind = RowRefused if _state(error).startswith(REFUSALS) else DatabaseError
        raise kind(sentence(error)) from error
    except (OverflowError, UnicodeError) as error:
        raise RowRefused(UNFIT) from error


def sentence(error: Exception) -> str:
    """Say what an error of the driver or the network means."""
    if isinstance(error, asyncpg.PostgresError):
        return _by_state(_state(error))
    return _of_network(error) if isinstance(error, OSError) else UNKNOWN


def _state(error: Exception) -> str:
    return getattr(error, "sqlstate", None) or ""


def _by_state(state: str) -> str:
    return next((words for start, words in SENTENCES.items() if state.startswith(start)), UNKNOWN)


def _of_network(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return SILENT
    if isinstance(error, ssl.SSLCertVerificationError):
        return "The database server's certificate does not hold."
    if isinstance(error, ssl.SSLError):
        return "The database server and this program do not agree on TLS."
    if isinstance(error, FILES):
        return f"A file or socket that DATABASE_URL names cannot be opened: {error.strerror}."
    # The driver's own words name the address; the system's do not.
    number = error.errno or 0
    words = os.strerror(number) if number in errno.errorcode else error.strerror
    return f"{UNREACHABLE}: {words}." if words else f"{UNREACHABLE} as DATABASE_URL says."
