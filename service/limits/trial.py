"""Turns that were -> how many of them some limits would have refused.

Refuses to reckon anew: it asks the very store and rules that decide in the service, by the turns' own clock.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from heapq import heappop, heappush

from msgspec import structs

from config.settings import Limits
from service.limits.demand import Demand, Kind, Verdict
from service.limits.memory import MemoryStore
from service.limits.rules import Rules
from service.limits.sizes import Daily
from service.limits.suggest import Turn, Weigh, left_in, name_of
from telemetry.record import Caller

MICROSECOND = 1_000
"""Nanoseconds."""
BUDGET = "budget_user_day"
Refused = tuple[str, str]
"""By role and by the policy that refused."""
Open = tuple[int, int, Demand, Verdict, int]
"""When a turn is over, its number, what it was let in by, and the tokens that it took."""


class Trial:
    """One trial of the limits by role, of tokens a minute and of money a user and day; of no others.

    `refused` counts by role and policy, `turns` are all. A turn is let in by the most that it may have asked
    for, and gives back at its end what it did not take.
    """

    def __init__(self, limits: Limits, weigh: Weigh, without: Collection[str] = ()) -> None:
        self.refused: Counter[Refused] = Counter()
        self.turns = 0
        self._weigh, self._without, self._user_day = weigh, without, limits.budgets.user_day
        self._rules = Rules(structs.replace(limits, tenant=None, models=None), 1)
        self._now, self._spent = 0, Daily()
        self._store = MemoryStore(clock=lambda: self._now)
        self._open: list[Open] = []

    async def take(self, turns: Iterable[Turn]) -> None:
        """Try some more, in the order of their time."""
        for turn in left_in(turns, self._without):
            self.turns += turn.count
            await self._settle(turn.at * MICROSECOND)
            self._now = max(self._now, turn.at * MICROSECOND)
            await self._try(turn, name_of(turn))

    async def _try(self, turn: Turn, user: str) -> None:
        need = self._weigh(turn)
        if self._user_day and self._spent.spent(user, turn.at) + need.least_micros > self._user_day:
            self.refused[turn.role, BUDGET] += turn.count
            return
        demand = self._demand(turn, user, need.tokens)
        for tried in range(turn.count):
            verdict = await self._store.decide(demand)
            if verdict.denied:  # and so are all others of this moment
                self.refused[turn.role, verdict.denied.rule.name] += turn.count - tried
                return
            heappush(
                self._open, (turn.ended_at * MICROSECOND, self.turns + tried, demand, verdict, turn.tokens)
            )
        if turn.cost_micros:
            self._spent.add(user, turn.at, turn.cost_micros)

    async def _settle(self, until: int) -> None:
        """Have the turns give back what they did not take that are over by now."""
        while self._open and self._open[0][0] <= until:
            ended, _, demand, verdict, tokens = heappop(self._open)
            self._now = max(self._now, ended)
            await self._store.settle(demand, verdict, tokens)

    def _demand(self, turn: Turn, user: str, tokens: int) -> Demand:
        caller = Caller(user_id=user, role=turn.role, method="", credential_id="", pseudonym="")
        demand = self._rules.of_turn(caller, "", None, tokens)
        parts = tuple(part for part in demand.parts if part.rule.kind is not Kind.LEASE)
        return Demand(tag=demand.tag, parts=parts)
