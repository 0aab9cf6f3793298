"""What a store of limits in memory is told: what was admitted before the start, whose limits begin anew.

Refuses to hold up the start for long: of a dead process that left much, the rest is counted when it is there.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress

from service.audit.sink import AuditSink
from service.errors import DatabaseError
from service.limits import Gate, MemoryStore
from service.limits.recount import Recount
from service.limits.rules import MINUTE_MS
from service.store.admissions import PAGE
from service.store.database import Database
from service.store.resets import Reset
from telemetry.record import Caller
from telemetry.recorder import microseconds

PATIENCE = 5.0
"""Seconds that the start waits for what dead processes left."""
LOOK = 1.0
"""Seconds between two looks at whose limits begin anew."""
SWEEP = 60
"""Looks between two removals of what is old."""
MARGIN = 300_000_000
"""Microseconds that are looked back over: clocks differ, and a row is not seen before it is committed."""
MILLISECOND = 1_000
"""Microseconds."""
FEW = 100
"""Turns that are counted at once while the service answers."""
NO_END = 1 << 62


class Counting:
    """Tells one store. `longest_ms` is the longest that a turn can be under way."""

    def __init__(
        self,
        gate: Gate,
        store: MemoryStore,
        database: Database,
        audited: AuditSink | None,
        pseudonym: Callable[[str], str],
        longest_ms: int,
    ) -> None:
        self._gate, self._store, self._database, self._audited = gate, store, database, audited
        self._pseudonym, self._longest_ms = pseudonym, longest_ms
        self._seen: set[str] = set()
        self._looked = microseconds()

    async def start(self, rooms: AsyncExitStack, patience: float = PATIENCE) -> None:
        """Count what was admitted, and go on in the background until the rooms are left.

        Raises:
            DatabaseError: nobody knows what was admitted.
        """
        self._seen = {each.id for each in await self._database.resets.since(self._looked - MARGIN)}
        inherited = asyncio.create_task(_inherited(self._audited), name="inherited")
        tasks = [inherited]
        rooms.push_async_callback(_end, tasks)
        await asyncio.wait((inherited,), timeout=patience)
        head = await self._database.admissions.head()
        await self._count(0, head)
        tasks.append(asyncio.create_task(self._watch(), name="limit resets"))
        if not inherited.done():
            tasks.append(asyncio.create_task(self._count_rest(inherited, head), name="recount"))

    async def look(self) -> None:
        """Forget what is counted for those whose limits begin anew; raises DatabaseError."""
        now = microseconds()
        found = await self._database.resets.since(self._looked - MARGIN)
        for each in found:
            if each.id not in self._seen:
                await self._gate.reset(_caller(each))
        self._seen = {each.id for each in found}
        self._looked = now

    async def _count(self, first: int, end: int, size: int = PAGE) -> None:
        """Count the turns of these places in the log that other processes recorded."""
        if self._gate.off:
            return
        now, own = microseconds(), self._audited.writer if self._audited else None
        longest = max(self._gate.rules.limits.window_ms, MINUTE_MS) + self._longest_ms
        since = now - longest * MILLISECOND
        resets = await self._database.admissions.resets(since)
        recount = Recount(self._store, self._gate.rules, resets, self._pseudonym, (now, time.monotonic_ns()))
        async for page in self._database.admissions.pages(since, NO_END, size):
            recount.take(each for each in page if first <= each.log_index < end and each.writer != own)
        recount.finish()

    async def _count_rest(self, inherited: asyncio.Task[None], head: int) -> None:
        await inherited
        with suppress(DatabaseError):
            await self._count(head, await self._database.admissions.head(), FEW)

    async def _watch(self) -> None:
        looks = 0
        while True:
            await asyncio.sleep(LOOK)
            looks += 1
            # While the database is away nobody can ask for anything either: it is looked again.
            with suppress(DatabaseError):
                await self.look()
                if looks % SWEEP == 0:
                    await self._database.resets.sweep(microseconds())


async def _inherited(audited: AuditSink | None) -> None:
    if audited:
        await audited.inherited()


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _caller(reset: Reset) -> Caller:
    return Caller(
        user_id=reset.user_id,
        role=reset.role,
        method="",
        credential_id="",
        pseudonym="",
        tenant=reset.tenant,
    )
