"""Turns that were -> how many of them some limits would have refused.

Refuses to reckon anew: it asks the very store and rules that decide in the service, by the turns' own clock.
"""

from collections import Counter
from collections.abc import Collection, Iterable

from msgspec import structs

from config.settings import Limits
from service.limits.demand import Demand, Kind
from service.limits.memory import MemoryStore
from service.limits.rules import Rules
from service.limits.sizes import Daily
from service.limits.suggest import Turn, left_in, name_of
from telemetry.record import Caller

MICROSECOND = 1_000
"""Nanoseconds."""
BUDGET = "budget_user_day"
Refused = tuple[str, str]
"""By role and by the policy that refused."""


class Trial:
    """One trial of the limits by role, of tokens a minute and of money a user and day; of no others.

    `refused` counts by role and policy, `turns` are all. Turns are as large as they were: as the service lets
    in by the most that a turn may take, it may refuse more at the edge.
    """

    def __init__(self, limits: Limits, without: Collection[str] = ()) -> None:
        self.refused: Counter[Refused] = Counter()
        self.turns = 0
        self._without, self._user_day = without, limits.budgets.user_day
        self._rules = Rules(structs.replace(limits, tenant=None, models=None), 1)
        self._now, self._spent = 0, Daily()
        self._store = MemoryStore(clock=lambda: self._now)

    async def take(self, turns: Iterable[Turn]) -> None:
        """Try some more, in the order of their time."""
        for turn in left_in(turns, self._without):
            self.turns += turn.count
            self._now = max(self._now, turn.at * MICROSECOND)
            await self._try(turn, self._demand(turn))

    async def _try(self, turn: Turn, demand: Demand) -> None:
        user = name_of(turn)
        if self._user_day and self._spent.spent(user, turn.at) + turn.cost_micros > self._user_day:
            self.refused[turn.role, BUDGET] += turn.count
            return
        for tried in range(turn.count):
            denied = (await self._store.decide(demand)).denied
            if denied:  # and so are all others of this moment
                self.refused[turn.role, denied.rule.name] += turn.count - tried
                return
        if turn.cost_micros:
            self._spent.add(user, turn.at, turn.cost_micros)

    def _demand(self, turn: Turn) -> Demand:
        caller = Caller(user_id=name_of(turn), role=turn.role, method="", credential_id="", pseudonym="")
        demand = self._rules.of_turn(caller, "", None, turn.tokens)
        parts = tuple(part for part in demand.parts if part.rule.kind is not Kind.LEASE)
        return Demand(tag=demand.tag, parts=parts)
