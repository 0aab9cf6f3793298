"""Whose limits begin anew, told to services that keep what they count in their own memory.

Refuses to keep a name longer than an hour: by then every service has looked, or was started since.
"""

from collections.abc import Sequence
from functools import partial

import msgspec
from msgspec import Struct
from piccolo.querystring import QueryString

from service.seal.vault import Vault
from service.store.audit import appended
from service.store.engine import Ask, Load, Script, StoreEngine
from service.store.row import AuditRow
from service.store.text import storable
from telemetry.person import parted

HOUR = 3_600_000_000
"""Microseconds."""
TABLE, COLUMNS = "limit_reset", ("id", "user_id", "role", "tenant", "at")
FIND = "SELECT id, user_id, role, tenant, at FROM limit_reset WHERE at >= {} ORDER BY at, id"
SWEEP = "DELETE FROM limit_reset WHERE at < {}"
FORGET = "DELETE FROM limit_reset WHERE user_id = {} AND COALESCE(tenant, '') = {}"


class Reset(Struct, frozen=True, kw_only=True):
    """A user, in the role they had, whose limits begin anew `at` (microseconds since 1970, UTC)."""

    id: str
    user_id: str
    role: str
    tenant: str | None
    at: int


class Resets:
    """All of them; every method raises DatabaseError."""

    def __init__(self, engine: StoreEngine, vault: Vault) -> None:
        self._engine, self._vault, self._dialect = engine, vault, engine.engine_type

    async def tell(self, reset: Reset, row: AuditRow | None) -> None:
        """Tell every service, and the audit by this row, in one transaction."""
        await self._engine.run_script(partial(self._telling, reset, row))

    async def since(self, at: int) -> Sequence[Reset]:
        """Those from a moment on, the oldest first; never waits for a write."""
        async with self._engine.reading.looking():
            found = await self._engine.run_querystring(QueryString(FIND, at))
        return [msgspec.convert(row, Reset) for row in found]

    async def sweep(self, now: int) -> None:
        """Remove those older than an hour."""
        await self._engine.run_querystring(QueryString(SWEEP, now - HOUR))

    def _telling(self, reset: Reset, row: AuditRow | None) -> Script[None]:
        yield Ask(QueryString(SWEEP, reset.at - HOUR))
        kept = msgspec.structs.replace(reset, user_id=storable(reset.user_id))
        yield Load(TABLE, COLUMNS, [msgspec.structs.astuple(kept)])
        if row:
            yield from appended([row], self._vault, self._dialect)


def forget(user: str) -> Script[None]:
    """Forget a user, whose name is as the store keeps it."""
    tenant, name = parted(user)
    yield Ask(QueryString(FORGET, name, tenant or ""))
