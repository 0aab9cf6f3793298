"""What one process admitted of what all share, and what it may admit while it is alone.

Refuses to let its share be more than what it has not used: what it admitted before it was alone counts.

Of counts and leases one state serves both, with another limit. Of quantities there are two: the whole, which
is what others must be told, and the share, which begins empty, for in units of a share the whole would take
`replicas` times as long to be paid for.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache

from msgspec.structs import replace

from service.limits.demand import Demand, Kind, Part, Rule, Standing, Verdict
from service.limits.memory import MemoryStore
from service.limits.state import Live

ALONE = "local"
"""Who decided, in a verdict."""
SHARE = "/share"
"""Ends the names of rules that only this process goes by."""
SOON_MS = 1_000
"""When to ask again for what a share cannot give at once, but the whole may."""
MOST_TICKETS = 100_000
"""Demands that may be settled exactly; of others leases alone are given back."""

Ticket = tuple[tuple[MemoryStore, Demand, Verdict], ...]
"""What is settled when a demand is, and where."""


class Own:
    """The counts of this process.

    Args:
        replicas: Processes that share the limits; each has an equal share, 1 at least.
        memory: Makes an empty store on the monotonic clock.
    """

    def __init__(self, replicas: int, memory: Callable[[], MemoryStore] = MemoryStore) -> None:
        self._replicas, self._memory = replicas, memory
        self._live, self._owed = memory(), memory()
        self._tickets: OrderedDict[int, tuple[Verdict, Ticket]] = OrderedDict()

    def note(self, demand: Demand, verdict: Verdict) -> None:
        """Count what the shared store admitted."""
        self._keep(demand, verdict, ((self._live, demand, self._live.record(demand)),))

    async def decide(self, demand: Demand) -> Verdict:
        """Decide alone, by this process's share; what is admitted is owed to the shared store."""
        asked = self._shared_out(demand)
        verdict = await self._live.decide(asked)
        told = self._told(demand, verdict)
        if not verdict.denied:
            whole = only(demand, Kind.QUANTITY)
            pairs = ((self._live, asked, verdict), (self._live, whole, self._live.record(whole)))
            self._keep(demand, told, (*pairs, (self._owed, demand, self._owed.record(demand))))
        return told

    async def peek(self, demand: Demand) -> Verdict:
        """Say what `decide` would."""
        return self._told(demand, await self._live.peek(self._shared_out(demand)))

    async def settle(self, demand: Demand, verdict: Verdict, spent: int) -> None:
        """Give back what this process counted, whoever decided."""
        leases = only(demand, Kind.LEASE)
        lost = ((self._live, leases, Verdict(standings=(), at=0, store=ALONE)),)
        _, ticket = self._tickets.pop(id(verdict), (verdict, lost))
        for store, asked, recorded in ticket:
            await store.settle(asked, recorded, spent)

    async def reset(self, demand: Demand) -> None:
        """Forget what is counted for the demand's subjects."""
        for store in (self._live, self._owed):
            await store.reset(demand)
            await store.reset(self._shared_out(demand))

    def all(self) -> Sequence[Live]:
        """Everything this process admitted that still counts, and nothing owed any more."""
        self._owed = self._memory()
        return [each for each in self._live.recent() if not each.rule.name.endswith(SHARE)]

    def owed(self) -> Sequence[Live]:
        """What it admitted alone and was not asked for yet, and nothing owed any more."""
        owed, self._owed = self._owed, self._memory()
        return list(owed.recent())

    def _shared_out(self, demand: Demand) -> Demand:
        parts = tuple(
            Part(rule=_share(part.rule, self._replicas), subject=part.subject, cost=part.cost)
            for part in demand.parts
        )
        return Demand(tag=demand.tag, parts=parts, lease=demand.lease)

    def _told(self, demand: Demand, verdict: Verdict) -> Verdict:
        standings = map(_standing, demand.parts, verdict.standings)
        return Verdict(standings=tuple(standings), at=verdict.at, store=ALONE)

    def _keep(self, demand: Demand, verdict: Verdict, ticket: Ticket) -> None:
        if all(part.rule.kind is Kind.COUNT for part in demand.parts):
            return
        # By the very object, which is kept so that no other has its id: two verdicts may look the same.
        self._tickets[id(verdict)] = verdict, ticket
        while len(self._tickets) > MOST_TICKETS:
            self._tickets.popitem(last=False)


def only(demand: Demand, kind: Kind) -> Demand:
    """Return a demand for those parts alone that are of one kind."""
    return replace(demand, parts=tuple(part for part in demand.parts if part.rule.kind is kind))


@lru_cache(maxsize=10_000)
def _share(rule: Rule, replicas: int) -> Rule:
    name = rule.name + SHARE if rule.kind is Kind.QUANTITY else rule.name
    return replace(rule, name=name, limit=max(1, rule.limit // replicas))


def _standing(part: Part, standing: Standing) -> Standing:
    """Tell a share's standing by the name that is known; what a share cannot give is not out of reach."""
    wait = standing.wait_ms
    if wait is None and part.cost <= part.rule.at_once:
        wait = SOON_MS
    return replace(standing, rule=replace(standing.rule, name=part.rule.name), wait_ms=wait)
