"""The limits: which rules, which store, and who hears when a shared store is away.

Refuses to wait for a store that does not answer: the service starts, and decides alone until it does.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack
from logging import WARNING

from config.settings import Settings
from service.app.counting import Counting
from service.app.money import open_purse
from service.audit.sink import AuditSink
from service.limits import Gate, MemoryStore, Rules, meters
from service.limits.loss import SharedStore
from service.limits.rules import MARGIN_MS
from service.limits.store import Store
from service.store.database import Database
from telemetry import log, names
from telemetry.recorder import microseconds

MEMORY = "memory://"


async def open_gate(
    settings: Settings,
    database: Database,
    audited: AuditSink | None,
    rooms: AsyncExitStack,
    pseudonym: Callable[[str], str],
) -> Gate:
    """Open the store of the settings and the purse, and the gate over both.

    A store in memory is told what was admitted before the start.
    """
    longest_ms = settings.model.turn_timeout_ms + MARGIN_MS
    rules = Rules(settings.limits, longest_ms)
    purse = await open_purse(settings, database, audited, rooms, lambda: rules.limits.budgets)
    store = await open_store(settings, rooms)
    gate = Gate(store, rules, purse, microseconds)
    if isinstance(store, MemoryStore):
        await Counting(gate, store, database, audited, pseudonym, longest_ms).start(rooms)
    return gate


async def open_store(settings: Settings, rooms: AsyncExitStack) -> Store:
    """Where counts are kept; closed with the rooms."""
    limits = settings.limits
    if limits.store == MEMORY:
        return MemoryStore()
    from service.limits.redis import RedisStore  # noqa: PLC0415 - the driver is loaded where it is used

    shared = SharedStore(
        RedisStore(limits.store), replicas=limits.replicas, on_loss=limits.on_loss, told=_say
    )
    rooms.push_async_callback(shared.close)
    meters.watch(shared)
    await shared.start()
    return shared


def _say(degraded: bool, why: str) -> None:  # noqa: FBT001 - one word for each of the two lines
    log.say(names.LIMITS_DEGRADED if degraded else names.LIMITS_RESTORED, WARNING, reason=why)
