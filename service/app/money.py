"""The purse of this process: over the ledger in the database, under the name of the process's journal.

Refuses to end before the turns have: it is opened before they are, and closed after them.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack

from config.settings import Budgets, Settings
from service.audit.retention import cutoff_of
from service.audit.sink import AuditSink
from service.limits.budget import Purse
from service.limits.rules import MARGIN_MS
from service.store.database import Database
from telemetry import ids
from telemetry.recorder import microseconds


async def open_purse(
    settings: Settings,
    database: Database,
    audited: AuditSink | None,
    rooms: AsyncExitStack,
    budgets: Callable[[], Budgets],
) -> Purse:
    """Open the purse once the audit has its journal; `budgets` is asked each time."""
    days = settings.audit.retention_days
    purse = Purse(
        database.budgets,
        budgets,
        (audited.writer if audited else None) or ids.uuid7(),
        settings.model.turn_timeout_ms + MARGIN_MS,
        audited=audited is not None,
        since=lambda: cutoff_of(days, microseconds()) if days else 0,
    )
    await purse.start()
    rooms.push_async_callback(purse.stop)
    return purse
