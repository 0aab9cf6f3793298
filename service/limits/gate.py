"""Counts, tokens, turns at one time and money in one step, by the mode that is set.

Refuses to refuse by itself: a grant says what stands in the way, the turn raises it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from service.errors import (
    BudgetSpent,
    ConcurrencyLimited,
    OverBudget,
    RateLimited,
    Refusal,
    TokensLimited,
    TokensSpent,
    ToolLimited,
)
from service.limits.budget import BudgetStanding, Purse
from service.limits.demand import Demand, Kind, Verdict
from service.limits.need import Need
from service.limits.rules import Rules
from service.limits.store import Store
from service.limits.telling import limit_of, over
from telemetry.record import Caller, Decision, RateLimit, Reserved

PATIENCE_MS = 10_000
"""That a turn under way waits for tokens before another model call."""
KINDS: dict[Kind, type[RateLimited]] = {
    Kind.COUNT: RateLimited,
    Kind.QUANTITY: TokensLimited,
    Kind.LEASE: ConcurrencyLimited,
}

TOO_MANY = "At most {} tokens may be asked for at once; the text, the tools and maxTokens count."

Clock = Callable[[], int]
Sleep = Callable[[float], Awaitable[None]]


class Held(Struct, frozen=True):
    """What was counted for one model call, until it is known what the call really took."""

    demand: Demand
    verdict: Verdict


class Standings(Struct, frozen=True, kw_only=True):
    """How a caller stands with everything: what is counted (None with mode off), and money."""

    limit: RateLimit | None
    budgets: tuple[BudgetStanding, ...] = ()
    degraded: bool = False


class Gate:
    """Admits turns.

    off: nothing is decided. observe: a denial becomes `observed` and passes; as a denied request is not
    counted, the decisions are those that enforce would have made. enforce: a denial stands.

    Args:
        store: Where counts are kept.
        rules: Which rule holds for whom.
        purse: Where money is put aside; None where no budget can be set.
        clock: Microseconds since 1970 (UTC).
    """

    def __init__(
        self, store: Store, rules: Rules, purse: Purse | None, clock: Clock, sleep: Sleep = asyncio.sleep
    ) -> None:
        self.store, self.rules, self.purse = store, rules, purse
        self._clock, self.sleep = clock, sleep

    @property
    def off(self) -> bool:
        """Whether nothing is decided."""
        return self.rules.limits.mode == "off"

    @property
    def refusing(self) -> Decision:
        """What a denial is called in this mode."""
        return Decision.OBSERVED if self.rules.limits.mode == "observe" else Decision.DENIED

    async def knock(self, address: str) -> RateLimit | None:
        """Count a request of an address; what was decided where that is no admission, else None."""
        demand = None if self.off else self.rules.of_address(address)
        if demand is None:
            return None
        verdict = await self.store.decide(demand)
        return limit_of(verdict, self._clock(), self.refusing) if verdict.denied else None

    async def admit(
        self, caller: Caller, turn_id: str, opened_at: int, model: str, weigh: Callable[[], Need]
    ) -> "Grant":
        """Decide one turn and count it where it is allowed; `weigh` is asked only where it matters.

        Raises:
            BudgetUnavailable: The caller has a budget, and its ledger does not answer.
        """
        if self.off:
            return Grant(self, caller, None)
        need = weigh() if self._weighs(caller) else Need(model=model, tokens=1, cost_micros=0, least_micros=0)
        demand = self.rules.of_turn(caller, turn_id, model, need.tokens)
        if self.purse is None or not self.purse.has_budget(caller):
            return self._granted(caller, demand, await self.store.decide(demand))
        return await self._with_money(self.purse, caller, demand, need, opened_at)

    async def peek(self, caller: Caller) -> RateLimit | None:
        """Say what stands for a caller, counting nothing; None where the mode is off."""
        if self.off:
            return None
        verdict = await self.store.peek(self.rules.of_turn(caller, "", None, 1))
        return limit_of(verdict, self._clock(), self.refusing)

    async def standings(self, caller: Caller) -> Standings:
        """Say how a caller stands with counts and money, counting nothing.

        Raises:
            BudgetUnavailable, DatabaseError: the ledger does not answer.
        """
        limit = await self.peek(caller)
        if self.purse is None or self.off:
            return Standings(limit=limit)
        budgets = await self.purse.standings(caller, self._clock())
        return Standings(limit=limit, budgets=budgets, degraded=bool(limit and limit.degraded))

    async def reset(self, caller: Caller) -> None:
        """Forget what is counted for a caller; money that is spent stays spent."""
        await self.store.reset(self.rules.of_caller(caller))

    def _weighs(self, caller: Caller) -> bool:
        """Whether it matters how much a turn may need."""
        money = self.purse is not None and self.purse.has_budget(caller)
        return money or bool(self.rules.limits.tokens_per_minute)

    def _granted(
        self, caller: Caller, demand: Demand, verdict: Verdict, reserved: Reserved | None = None
    ) -> "Grant":
        limit = limit_of(verdict, self._clock(), self.refusing)
        if verdict.denied:
            return Grant(self, caller, limit, reserved=reserved, refusal=_refusal(limit, verdict))
        return Grant(self, caller, limit, reserved=reserved, held=[Held(demand, verdict)])

    async def _with_money(
        self, purse: Purse, caller: Caller, demand: Demand, need: Need, opened_at: int
    ) -> "Grant":
        """Money first, for a ledger keeps it as easily as it gives it back; but not for one who is denied."""
        before = await self.store.peek(demand)
        if before.denied and self.refusing is Decision.DENIED:
            return self._granted(caller, demand, before)
        observing = self.refusing is Decision.OBSERVED
        put = await purse.reserve(
            caller, demand.lease, need.cost_micros, opened_at, least=need.least_micros, force=observing
        )
        if isinstance(put, BudgetStanding):
            limit = over(put, limit_of(before, self._clock(), self.refusing), self.refusing)
            return Grant(self, caller, limit, refusal=OverBudget(limit))
        try:
            verdict = await self.store.decide(demand)
        except BaseException:  # the caller left meanwhile: no grant will ever give it back
            purse.release(put.reserved)
            raise
        grant = self._granted(caller, demand, verdict, put.reserved)
        if grant.refusal:
            purse.release(put.reserved)
            grant.reserved = None
        elif put.over and grant.limit:
            grant.limit = over(put.over, grant.limit, Decision.OBSERVED)
        return grant


class Grant:
    """What one turn was granted, until it is closed; `refusal` is what it is turned away with.

    `limit` is the decision, None with mode off. `reserved` is the money put aside.
    """

    def __init__(
        self,
        gate: Gate,
        caller: Caller,
        limit: RateLimit | None,
        *,
        reserved: Reserved | None = None,
        refusal: Refusal | None = None,
        held: Sequence[Held] = (),
    ) -> None:
        self._gate, self._caller, self._held = gate, caller, list(held)
        self.limit, self.reserved = limit, reserved
        self.refusal = refusal if gate.refusing is Decision.DENIED else None
        self._closed = False

    async def call(self, weigh: Callable[[], Need], spent_micros: int) -> None:
        """Let the turn ask the model once more.

        Args:
            weigh: What that call alone may need.
            spent_micros: What the turn has cost so far.

        Raises:
            BudgetSpent: it may cost more than is left of what was put aside.
            TokensSpent: the tokens for it are not left, and will not be soon.
        """
        if self.reserved is None and not self._gate.rules.limits.tokens_per_minute:
            return
        need = weigh()
        if self.reserved and spent_micros + need.cost_micros > self.reserved.micros:
            raise BudgetSpent("The money put aside for this turn does not cover another call of the model.")
        demand = None if self._gate.off else self._gate.rules.of_call(self._caller, need.tokens)
        if demand:
            await self._take(demand)

    async def model(self, name: str) -> bool:
        """Whether the turn may ask another model than the one it was let in for; counts it where it may."""
        demand = None if self._gate.off else self._gate.rules.of_model(self._caller, name)
        if demand is None:
            return True
        verdict = await self._gate.store.decide(demand)
        return not verdict.denied or self._gate.refusing is Decision.OBSERVED

    async def tool(self, name: str, limit: int | None = None) -> None:
        """Let the turn run a tool; raises ToolLimited where it was run too often.

        `limit` is the tool's own, which holds where the settings name none for it.
        """
        demand = None if self._gate.off else self._gate.rules.of_tool(self._caller, name, limit)
        if demand is None:
            return
        verdict = await self._gate.store.decide(demand)
        if verdict.denied and self._gate.refusing is Decision.DENIED:
            raise ToolLimited(f"The tool {name} may not be used again so soon.")

    async def close(self, tokens: Sequence[int], charged_micros: int) -> None:
        """The turn is over: give back what it did not use. Closing twice is closing once.

        Args:
            tokens: What each model call really took, in order.
            charged_micros: What the turn costs its budgets.
        """
        if self._closed:
            return
        self._closed = True
        if self.reserved and self._gate.purse:
            self._gate.purse.close(self.reserved, charged_micros)
        for place, held in enumerate(self._held):
            spent = tokens[place] if place < len(tokens) else 0
            await self._gate.store.settle(held.demand, held.verdict, spent)

    async def _take(self, demand: Demand) -> None:
        """Wait for tokens, but not for long."""
        left = PATIENCE_MS
        while (denied := (verdict := await self._gate.store.decide(demand)).denied) is not None:
            if self._gate.refusing is Decision.OBSERVED:
                return
            if denied.wait_ms is None or denied.wait_ms > left:
                raise TokensSpent("The tokens for another call of the model are not left.")
            left -= denied.wait_ms
            await self._gate.sleep(denied.wait_ms / 1000)
        self._held.append(Held(demand, verdict))


def _refusal(limit: RateLimit, verdict: Verdict) -> Refusal:
    denied = verdict.denied
    if denied and denied.wait_ms is None:
        return TokensLimited(limit, TOO_MANY.format(denied.rule.at_once))
    return KINDS[denied.rule.kind if denied else Kind.COUNT](limit)
