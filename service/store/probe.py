"""A look at a database from outside: whether it is there and lets us in.

Refuses to change anything: no file is made, nothing is migrated.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from piccolo.querystring import QueryString

from service.errors import DatabaseError
from service.store.database import BUSY_TIMEOUT_MS
from service.store.outage import promptly
from service.store.postgres.engine import open_pool
from service.store.postgres.location import is_server, location_of
from service.store.sqlite.faults import translated
from service.store.sqlite.location import path_of

ANSWERS = "{where} answers"


def file_of(url: str) -> Path | None:
    """The file a URL names; None where it names a server.

    Raises:
        DatabaseError: it names neither.
    """
    return None if is_server(url) else path_of(url)


async def probe(url: str) -> str:
    """Ask a database that should be there one question, and say where it is.

    Raises:
        DatabaseError: it is not there, or does not answer; the words hold no password.
    """
    path = file_of(url)
    return await _ask_server(url) if path is None else _ask_file(path)


async def _ask_server(url: str) -> str:
    location = location_of(url)
    engine = await open_pool(location.url)
    try:
        async with promptly():
            await engine.run_querystring(QueryString("SELECT 1"))
    finally:
        await engine.close()
    return ANSWERS.format(where=location.where)


def _ask_file(path: Path) -> str:
    with translated():
        with path.open("r+b"):
            pass  # it may be written to
        uri = f"{path.as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_MS / 1000)) as connection:
            found = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not found:
        raise DatabaseError("The database did not answer.")
    return ANSWERS.format(where=path)
