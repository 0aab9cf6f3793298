"""A shared store that stands in for Redis: it can go away, be slow and forget, by a clock that is told.

Refuses to decide on another memory than the one that is trusted, as the real one does.
"""

import asyncio
from collections.abc import Sequence

from service.limits.demand import Demand, Part, Verdict
from service.limits.memory import MemoryStore
from service.limits.remote import Meeting, StoreSlow
from service.limits.state import Live
from service.limits.store import StoreAway


class Clock:
    """Nanoseconds that move only when told."""

    def __init__(self) -> None:
        self.now = 10**15

    def __call__(self) -> int:
        return self.now

    def elapse(self, seconds: float) -> None:
        self.now += round(seconds * 1_000_000_000)


class Server:
    """The memory that all share; `fault` is raised by every call while it is set."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.lives, self.calls = clock, 0, 0
        self.fault: StoreAway | None = None
        self.born: int | None = None
        self.restart()

    def restart(self) -> None:
        """Begin anew, with nothing counted."""
        self.memory, self.lives, self.born = MemoryStore(self.clock), self.lives + 1, None

    def go(self, *, slow: bool = False) -> None:
        """Be away from now on, by a connection that is refused or by silence."""
        self.fault = StoreSlow("no answer") if slow else StoreAway("refused")

    def come(self) -> None:
        """Be there again."""
        self.fault = None

    def met(self) -> Meeting:
        """Begin a new life where none was met in it."""
        self.heard()
        if self.born is None:
            self.born = self.clock()
        return Meeting(epoch=str(self.lives), age_us=(self.clock() - self.born) // 1_000)

    def heard(self) -> MemoryStore:
        """The memory, where it can be reached."""
        self.calls += 1
        if self.fault:
            raise self.fault
        return self.memory


class Late:
    """Who was decided about, and waits to hear of it until it is over."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[Demand] = asyncio.Queue()
        self.over = asyncio.Event()


class FakeRemote:
    """One process's way to the server; `told` are the pieces that it was told, call by call."""

    name = "redis"

    def __init__(self, server: Server) -> None:
        self.server, self.epoch = server, ""
        self.told: list[Sequence[Live]] = []
        self.refuses_pieces = False
        self._late: Late | None = None

    def answers_late(self) -> "Late":
        """Let decisions be made at once from now on, and be heard of once `over` is set."""
        self._late = Late()
        return self._late

    async def decide(self, demand: Demand) -> Verdict:
        verdict = self._named(await self._memory().decide(demand))
        if self._late:
            self._late.asked.put_nowait(demand)
            await self._late.over.wait()
        return verdict

    async def peek(self, demand: Demand) -> Verdict:
        return self._named(await self._memory().peek(demand))

    async def settle(self, demand: Demand, verdict: Verdict, spent: int) -> None:
        await self._memory().settle(demand, verdict, spent)

    async def reset(self, demand: Demand) -> None:
        await self._memory().reset(demand)

    async def meet(self) -> Meeting:
        return self.server.met()

    def trust(self, epoch: str) -> None:
        self.epoch = epoch

    async def merge(self, pieces: Sequence[Live]) -> None:
        memory = self._memory()
        if self.refuses_pieces:
            raise StoreAway("full")
        self.told.append(pieces)
        for piece in pieces:
            _count(memory, piece, self.server.clock())

    async def warm(self) -> None:
        self.server.heard()

    async def close(self) -> None:
        return

    def _memory(self) -> MemoryStore:
        memory = self.server.heard()
        if self.epoch != str(self.server.lives):
            raise StoreAway("its memory is another")
        return memory

    def _named(self, verdict: Verdict) -> Verdict:
        return Verdict(standings=verdict.standings, at=verdict.at, store=self.name)


def _count(memory: MemoryStore, piece: Live, now: int) -> None:
    for age in piece.ages:
        memory.record(_of(piece), now - age)
    for lease, _ in piece.leases:
        memory.record(_of(piece, lease=lease))
    if piece.ahead:
        rule = piece.rule
        worth = rule.window_ns // (rule.limit - rule.at_once + 1)
        memory.record(_of(piece, cost=-(-piece.ahead // worth)))


def _of(piece: Live, *, lease: str = "", cost: int = 1) -> Demand:
    part = Part(rule=piece.rule, subject=piece.subject, cost=cost)
    return Demand(tag=piece.tag, parts=(part,), lease=lease)
