"""A database opened for reading alone, by another process of an installation that has it open already.

Refuses to migrate or to make anything: whoever opened it before has.
"""

from service.store.database import BUSY_TIMEOUT_MS
from service.store.engine import StoreEngine
from service.store.postgres.engine import open_pool
from service.store.postgres.location import is_server, location_of
from service.store.sqlite.engine import WalEngine
from service.store.sqlite.location import path_of


async def open_reading(url: str) -> StoreEngine:
    """The engine of a URL; raises DatabaseError."""
    if is_server(url):
        return await open_pool(location_of(url).url)
    return WalEngine(path_of(url), BUSY_TIMEOUT_MS)
