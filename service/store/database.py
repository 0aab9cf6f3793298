"""The door of the store: opens the database, migrated and ready.

Refuses to open half: when anything fails on the way, nothing of it stays open.
"""

from functools import partial

from piccolo.querystring import QueryString

from service.store.audit import AuditStore
from service.store.engine import WalEngine
from service.store.keys import KeyStore
from service.store.location import path_of, prepare
from service.store.migrate import migrate, read_migrations
from service.store.tables import bind

BUSY_TIMEOUT_MS = 5_000


class Database:
    """An open database and the stores in it; close it to end its threads."""

    def __init__(self, engine: WalEngine) -> None:
        self._engine = engine
        self.audit = AuditStore(engine)
        self.keys = KeyStore(engine)

    async def ping(self) -> None:
        """Ask the database for a sign of life; does not wait for writes.

        Raises:
            DatabaseError: There is none.
        """
        await self._engine.run_querystring(QueryString("SELECT 1"))

    async def close(self) -> None:
        """Finish what was accepted and end; further calls are a DatabaseError, closing again is nothing."""
        await self._engine.close()


async def open_database(url: str, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> Database:
    """Open the database of a URL, make it where there is none, and migrate it.

    Args:
        url: `sqlite:///relative/path.db` or `sqlite:////absolute/path.db`.
        busy_timeout_ms: How long one write waits for another process's write lock.

    Raises:
        DatabaseError: It cannot be opened or migrated; the sentence says why, the cause has the details.
    """
    path = path_of(url)
    prepare(path)
    engine = WalEngine(path, busy_timeout_ms)
    try:
        await engine.writer.run(partial(migrate, read_migrations(engine.engine_type)))
        bind(engine)
        database = Database(engine)
        await database.ping()
    except BaseException:
        await engine.close()
        raise
    return database
