"""Clears the database's own files of what was deleted: an engine's DELETE leaves bytes where they were.

Refuses to call a file clean that it could not write anew: it says what is left, and when to come back.
"""

from msgspec import Struct

from service.store.engine import StoreEngine
from service.store.postgres.engine import PoolEngine
from service.store.postgres.scrub import scrub_server
from service.store.sqlite.engine import WalEngine
from service.store.sqlite.scrub import scrub_file

PATIENCE = 10.0
"""Seconds to wait for each thing that others hold."""


class Scrubbed(Struct, frozen=True):
    """What could not be done, a sentence each; nothing of what was deleted is left where there is none."""

    left: tuple[str, ...] = ()


async def scrub(engine: StoreEngine, patience: float = PATIENCE) -> Scrubbed:
    """Write anew what holds names and texts. Writers wait meanwhile, and readers on a server.

    `patience` is how many seconds are waited for others, for each thing that they hold.
    """
    if isinstance(engine, PoolEngine):
        return Scrubbed(tuple(await scrub_server(engine, patience)))
    if isinstance(engine, WalEngine):
        return Scrubbed(tuple(await scrub_file(engine, patience)))
    raise NotImplementedError(engine.engine_type)
