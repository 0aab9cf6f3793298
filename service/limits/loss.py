"""A shared store that may be away: who decides meanwhile, and that nobody waits for it.

Refuses to raise StoreAway: there is always a decision, and `degraded` says how it was made.

While the store is away each process admits by its own share `max(1, limit // replicas)` in a window, what it
admitted before counted: all of them, with what the shared store admitted, stay below twice the limit in every
window. `strict` admits nothing for a window, then the share; after a store came back that has forgotten what
it counted, nothing for a window again. Leases go by the share from the start, for a lease's window is a
turn's longest time.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal, TypeVar

from msgspec.structs import replace

from service.limits.demand import MILLISECOND, Demand, Kind, Part, Standing, Verdict
from service.limits.memory import MemoryStore
from service.limits.orphans import Orphans
from service.limits.own import ALONE, SOON_MS, Own, only
from service.limits.remote import Meeting, Remote, StoreSlow
from service.limits.reunion import Reunion
from service.limits.store import StoreAway

SLOW_IN_A_ROW = 3
"""Calls without an answer that make an outage; a connection that is refused makes one at once."""
LOOK, LOOK_FOR = 1.0, 0.5
"""Seconds between two looks at a store that is there, and at one that is away."""
A_MOMENT = 100_000_000
"""Nanoseconds after which a store that may be trusted is."""
MOST_UNSETTLED = 10_000
"""Demands that are settled when the store is back; further ones end with their windows."""
SECOND = 1_000_000_000
"""In nanoseconds."""
NEVER = -(1 << 62)
YOUNG = "its memory is younger than what others may have to tell it"
FORGETFUL = "its maxmemory-policy may forget counts: set noeviction"

OnLoss = Literal["share", "strict"]
Told = Callable[[bool, str], None]
"""Hears whether the store is away now, and why."""
T = TypeVar("T")


class SharedStore:
    """A Store over another one that may be away; never raises StoreAway.

    `degraded` says whether this process decides alone, `detail` why, `switches` how often that changed.

    Args:
        store: The one that is shared.
        replicas: Processes that share it.
        on_loss: share or strict.
        told: Hears of every change.
        memory: Makes a store for what this process admits itself, on `clock`.
        clock: Monotonic nanoseconds.
    """

    def __init__(
        self,
        store: Remote,
        *,
        replicas: int = 1,
        on_loss: OnLoss = "share",
        told: Told | None = None,
        memory: Callable[[], MemoryStore] = MemoryStore,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.name, self.degraded, self.detail, self.switches = store.name, True, "not met yet", 0
        self._store, self._own, self._clock, self._tell = store, Own(replicas, memory), clock, told
        self._strict = on_loss == "strict"
        self._reunion = Reunion(store, self._own, alone=replicas == 1, strict=self._strict, clock=clock)
        self._calls, self._slow, self._said = 0, 0, False
        self._lost, self._forgot = NEVER, NEVER
        self._unsettled: deque[tuple[Demand, Verdict, int]] = deque(maxlen=MOST_UNSETTLED)
        self._wake, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._watching: asyncio.Task[None] | None = None
        self._orphans = Orphans()

    async def start(self) -> None:
        """Meet the store, once without waiting for its end, and keep looking at it until `close`."""
        await self._look()
        if self.degraded:
            self._change(degraded=True)
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Look no more, and let go of the store."""
        if self._watching:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self._orphans.close()
        await self._store.close()

    async def decide(self, demand: Demand) -> Verdict:
        """Admit the whole demand and count it, or deny it at no cost; alone where the store is away.

        Whoever leaves meanwhile holds nothing, whatever the store had decided.
        """
        return await self._orphans.wait(self._decide(demand), lambda given: self.settle(demand, given, 0))

    async def _decide(self, demand: Demand) -> Verdict:
        silent = await self._silence(demand)
        if silent or self.degraded:
            return silent or await self._own.decide(demand)
        verdict = await self._ask(self._store.decide(demand))
        if verdict is None:
            return await self._silence(demand, unheard=True) or await self._own.decide(demand)
        if not verdict.denied:
            self._own.note(demand, verdict)
        return verdict

    async def peek(self, demand: Demand) -> Verdict:
        """Say what `decide` would at this moment; counts nothing."""
        verdict = None if self.degraded else await self._ask(self._store.peek(demand))
        return await self._silence(demand) or verdict or await self._own.peek(demand)

    async def settle(self, demand: Demand, verdict: Verdict, spent: int) -> None:
        """Give back what is held; where the store is away, it hears of it when it is back."""
        if verdict.denied:
            return
        await self._own.settle(demand, verdict, spent)
        # What was decided alone has no moment by the store's clock: it may hold its leases, nothing else.
        theirs = demand if verdict.store == self.name else only(demand, Kind.LEASE)
        if theirs.parts and (self.degraded or not await self._settled(theirs, verdict, spent)):
            self._unsettled.append((theirs, verdict, spent))

    async def reset(self, demand: Demand) -> None:
        """Forget what is counted for the demand's subjects; a store that is away does not hear of it."""
        await self._own.reset(demand)
        if not self.degraded:
            await self._ask(self._store.reset(demand))

    async def _settled(self, demand: Demand, verdict: Verdict, spent: int) -> bool:
        async def settle() -> bool:
            await self._store.settle(demand, verdict, spent)
            return True

        return bool(await self._ask(settle()))

    async def _ask(self, call: Awaitable[T]) -> T | None:
        """Wait for the store's answer; None where there is none, and it is lost when that tells so."""
        self._calls += 1
        self._idle.clear()
        try:
            answer = await call
        except StoreSlow as slow:
            self._slow += 1
            if self._slow >= SLOW_IN_A_ROW:
                self._lose(str(slow))
            return None
        except StoreAway as away:
            self._lose(str(away))
            return None
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()
        self._slow = 0
        return answer

    async def _silence(self, demand: Demand, *, unheard: bool = False) -> Verdict | None:
        """Deny what strict does not admit now; None where it does not stand in the way.

        Where the store was not heard, that one demand is denied, be it an outage or not.
        """
        if not self._strict:
            return None
        now = self._clock()
        least = SOON_MS * MILLISECOND if unheard else 0
        waits = [max(least, self._silent_until(part, now) - now) for part in demand.parts]
        if max(waits, default=0) <= 0:
            return None
        stand = (await self._own.peek(demand)).standings
        return Verdict(standings=tuple(map(_silenced, stand, waits)), at=now, store=ALONE)

    def _silent_until(self, part: Part, now: int) -> int:
        if part.rule.kind is Kind.LEASE:
            return 0
        if not self.degraded:
            return self._forgot + part.rule.window_ns
        blank = max(self._forgot, self._lost) + part.rule.window_ns
        # From the moment at which it was met others may trust it already.
        ready = self._reunion.ready_at
        return blank if ready is None else max(blank, ready, now + A_MOMENT)

    def _lose(self, why: str) -> None:
        self._reunion.lose()
        self.detail = why
        if not self._said:
            self._lost = self._clock()
            self._change(degraded=True)
            self._wake.set()

    def _change(self, *, degraded: bool) -> None:
        self.degraded = degraded
        if degraded is not self._said:
            self._said = degraded
            self.switches += 1
            if self._tell:
                self._tell(degraded, self.detail)

    async def _watch(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._wake.wait()
            self._wake.clear()
            await self._look()

    def _pause(self) -> float:
        if not self.degraded:
            return LOOK
        ready = self._reunion.ready_at
        return LOOK_FOR if ready is None else min(LOOK_FOR, max(0, ready - self._clock()) / SECOND)

    async def _look(self) -> None:
        try:
            await self._meet(await self._store.meet())
        except StoreAway as away:
            self._lose(str(away))

    async def _meet(self, met: Meeting) -> None:
        if not self.degraded:
            if met.epoch == self._reunion.epoch:
                await self._reunion.pay()
                return
            self._lose("its memory is another")
        # What the calls under way admit is to be told as well.
        await self._idle.wait()
        forgot = await self._reunion.approach(met)
        if forgot is not None:
            self._forgot = forgot
            self._unsettled.clear()
        if self._reunion.is_ready:
            await self._rejoin(met)
        elif not self._said:
            self.detail = YOUNG

    async def _rejoin(self, met: Meeting) -> None:
        await self._store.warm()
        await self._reunion.pay()
        self._slow, self.detail = 0, FORGETFUL if met.forgetful else ""
        self._change(degraded=False)
        # What was admitted while the last of it was told.
        await self._reunion.pay()
        while self._unsettled and not self.degraded and await self._settled(*self._unsettled[0]):
            self._unsettled.popleft()


def _silenced(standing: Standing, wait: int) -> Standing:
    if wait <= 0:
        return standing
    milliseconds = -(-wait // MILLISECOND)
    return replace(standing, remaining=0, reset_ms=milliseconds, wait_ms=milliseconds)
