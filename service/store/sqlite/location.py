"""Where the database file is, and that it may be one.

Refuses databases in memory (they would forget the audit), URLs with options, and paths that are no file.
"""

import os
import stat
from pathlib import Path

from service.errors import DatabaseError
from service.store.sqlite.faults import translated

SCHEME = "sqlite:///"
UNSUPPORTED = frozenset("?#\0")
FORM = "DATABASE_URL must be sqlite:///relative/path.db, sqlite:////absolute/path.db or a postgresql:// URL."


def path_of(url: str) -> Path:
    """Read the path out of a database URL; relative ones start at the working directory.

    Raises:
        DatabaseError: The URL is not of the form that is supported.
    """
    name = url.removeprefix(SCHEME)
    if name in {url, "", ":memory:"} or name.endswith("/") or UNSUPPORTED & set(name):
        raise DatabaseError(FORM)
    return Path(name).absolute()


def prepare(path: Path) -> None:
    """Make the directory (0700) and an empty file (0600) where there is none; leave others as they are.

    SQLite gives its `-wal` and `-shm` files the mode of the database file.

    Raises:
        DatabaseError: The file cannot be made or opened, or is a directory, a device or a pipe.
    """
    with translated():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DatabaseError("The database path is not a regular file.")
    finally:
        os.close(descriptor)
