"""Counts, tokens, turns at one time and money as one decision, in every mode."""

import asyncio

import pytest

from config.settings import Budgets, Limits
from service.errors import (
    BudgetSpent,
    BudgetUnavailable,
    ConcurrencyLimited,
    OverBudget,
    RateLimited,
    TokensLimited,
    TokensSpent,
    ToolLimited,
)
from service.limits import Gate, MemoryStore, Rules
from service.limits.budget import BudgetStanding, Granted
from service.limits.need import Need
from telemetry.record import Caller, Decision, Reserved

ANN = Caller(user_id="ann", role="CFO", method="api_key", credential_id="k", pseudonym="p-ann")
BEN = Caller(user_id="ben", role="ZEBRA", method="api_key", credential_id="k", pseudonym="p-ben")
NOW = 1_764_000_000_000_000
MS = 1_000_000
NEED = Need(model="m", tokens=100, cost_micros=900, least_micros=100)


class Clock:
    """Nanoseconds that move only when told."""

    def __init__(self) -> None:
        self.now = 10**15

    def __call__(self) -> int:
        return self.now


class FakePurse:
    """A purse with `left` micro-dollars; `held` is what is put aside, `closed` what turns were charged."""

    def __init__(self, left: int = 1_000) -> None:
        self.left, self.held, self.closed, self.away = left, {}, {}, False

    def has_budget(self, caller: Caller) -> bool:
        del caller
        return True

    async def reserve(self, caller, lease, micros, at, *, least, force=False):
        del caller, at
        if self.away:
            raise BudgetUnavailable("away", retry_after_ms=1_000)
        given = min(micros, self.left)
        over = None if given >= least else self._standing()
        if over and not force:
            return over
        self.held[lease] = micros if force else given
        self.left -= self.held[lease]
        return Granted(reserved=Reserved(lease=lease, micros=self.held[lease]), over=over)

    def close(self, reserved: Reserved, charged_micros: int) -> None:
        self.left += self.held.pop(reserved.lease) - charged_micros
        self.closed[reserved.lease] = charged_micros

    def release(self, reserved: Reserved) -> None:
        self.close(reserved, 0)

    async def standings(self, caller, at):
        del caller, at
        return (self._standing(),)

    def _standing(self) -> BudgetStanding:
        return BudgetStanding(
            name="user_day", limit=1_000, spent=0, reserved=1_000 - self.left, reset_ms=5_000
        )


class House:
    """A gate over a memory store on a clock of its own; its sleeps move the clock."""

    def __init__(self, purse=None, **limits) -> None:
        self.clock, self.purse, self.slept = Clock(), purse, []
        self.gate = Gate(
            MemoryStore(clock=self.clock), Rules(Limits(**limits), 60_000), purse, lambda: NOW, self._sleep
        )
        self._turns = 0

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.now += round(seconds * 1_000) * MS

    async def admit(self, caller=ANN, need=NEED, model="m"):
        self._turns += 1
        return await self.gate.admit(caller, f"turn-{self._turns}", NOW, model, lambda: need)


async def test_the_role_has_its_number_and_any_other_the_common_one():
    house = House(roles={"CFO": 2}, requests=1)
    assert [(await house.admit()).refusal is None for _ in range(3)] == [True, True, False]
    assert [(await house.admit(BEN)).refusal is None for _ in range(2)] == [True, False]


async def test_a_refusal_names_its_policy_and_all_that_was_asked():
    house = House(roles={"CFO": 1}, tokens_per_minute=10_000)
    await house.admit()
    refused = await house.admit()
    assert type(refused.refusal) is RateLimited
    limit = refused.limit
    assert (limit.decision, limit.policy, limit.limit, limit.remaining) == (Decision.DENIED, "role", 1, 0)
    assert (limit.retry_after_ms, limit.decided_at, limit.degraded) == (60_000, NOW, False)
    assert [each.policy for each in limit.allowances] == ["role", "tokens", "concurrency"]
    assert limit.allowances[1].remaining == 1_900  # a refusal cost nothing


async def test_tokens_are_refused_under_their_own_code_and_given_back_at_the_end():
    house = House(tokens_per_minute=1_000)  # 200 at once
    first = await house.admit()
    assert (await house.admit()).refusal is None
    third = await house.admit()
    assert isinstance(third.refusal, TokensLimited)
    assert (third.limit.policy, third.limit.limit, third.limit.window_ms) == ("tokens", 1_000, 60_000)
    await first.close([1], 0)
    assert (await house.admit(need=Need(model="m", tokens=99, cost_micros=0, least_micros=0))).refusal is None


async def test_more_tokens_than_may_ever_be_asked_for_at_once_are_said_to_be():
    house = House(tokens_per_minute=400)
    refused = await house.admit()
    assert isinstance(refused.refusal, TokensLimited)
    assert refused.refusal.detail.startswith("At most 80 tokens may be asked for at once")
    assert refused.limit.retry_after_ms == 60_000


async def test_turns_at_the_same_time_are_counted_until_they_are_closed():
    house = House(concurrency=2)
    first, _ = await house.admit(), await house.admit()
    refused = await house.admit()
    assert isinstance(refused.refusal, ConcurrencyLimited)
    assert (refused.limit.policy, refused.limit.retry_after_ms) == ("concurrency", 1_000)
    await first.close([], 0)
    await first.close([], 0)
    assert (await house.admit()).refusal is None
    assert isinstance((await house.admit()).refusal, ConcurrencyLimited)


async def test_a_tenant_and_a_model_have_numbers_of_their_own():
    house = House(roles={"CFO": 100}, tenant=2, models={"m": 1})
    in_tenant = [Caller(**{**each, "tenant": "t"}) for each in (as_dict(ANN), as_dict(BEN))]
    assert (await house.admit(in_tenant[0])).refusal is None
    again = await house.admit(in_tenant[0])
    assert (again.limit.policy, again.limit.limit) == ("model", 1)
    assert (await house.admit(in_tenant[1])).refusal is None
    third = await house.admit(in_tenant[1], model="n")
    assert (third.limit.policy, third.limit.limit) == ("tenant", 2)
    assert (await house.admit(ANN, model="n")).refusal is None


def as_dict(caller: Caller) -> dict:
    return {name: getattr(caller, name) for name in caller.__struct_fields__}


async def test_observe_refuses_nothing_and_decides_as_enforce_would():
    house = House(mode="observe", roles={"CFO": 2})
    grants = [await house.admit() for _ in range(4)]
    assert [grant.refusal for grant in grants] == [None] * 4
    assert [grant.limit.decision.value for grant in grants] == ["allowed", "allowed", "observed", "observed"]
    for grant in grants:
        await grant.close([1], 0)


async def test_off_decides_nothing():
    house = House(FakePurse(0), mode="off", roles={"CFO": 1}, address=1)
    grants = [await house.admit() for _ in range(3)]
    assert [(grant.limit, grant.refusal, grant.reserved) for grant in grants] == [(None, None, None)] * 3
    assert await house.gate.knock("a") is None
    assert (await house.gate.peek(ANN), (await house.gate.standings(ANN)).limit) == (None, None)


async def test_an_address_is_counted_before_anybody_is_known():
    house = House(address=2)
    assert [await house.gate.knock("192.0.2.1") for _ in range(2)] == [None, None]
    limit = await house.gate.knock("192.0.2.1")
    assert (limit.decision, limit.policy, limit.limit) == (Decision.DENIED, "address", 2)
    assert await house.gate.knock("192.0.2.2") is None
    assert await House().gate.knock("192.0.2.1") is None


async def test_peeking_costs_nothing():
    house = House(roles={"CFO": 1}, concurrency=1)
    for _ in range(5):
        limit = await house.gate.peek(ANN)
        assert (limit.decision, limit.remaining) == (Decision.ALLOWED, 1)
    assert (await house.admit()).refusal is None


async def test_money_is_put_aside_at_the_worst_case_and_charged_at_the_real_one():
    purse = FakePurse(1_000)
    house = House(purse)
    grant = await house.admit()
    assert (grant.reserved, purse.left) == (Reserved(lease="turn-1", micros=900), 100)
    await grant.close([10], 7)
    assert (purse.closed, purse.left) == ({"turn-1": 7}, 993)


async def test_with_less_than_the_worst_case_left_a_turn_gets_that_if_it_covers_its_first_call():
    purse = FakePurse(150)
    house = House(purse)
    assert (await house.admit()).reserved == Reserved(lease="turn-1", micros=150)
    refused = await house.admit()
    assert isinstance(refused.refusal, OverBudget)
    assert refused.reserved is None
    limit = refused.limit
    assert (limit.policy, limit.limit, limit.remaining) == ("budget_user_day", 1_000, 0)
    assert (limit.decision, limit.retry_after_ms) == (Decision.DENIED, 5_000)
    assert limit.allowances[0].remaining == 99  # the refusal counted no request


async def test_who_is_denied_by_a_count_puts_nothing_aside():
    purse = FakePurse(10_000)
    house = House(purse, roles={"CFO": 1})
    await house.admit()
    assert isinstance((await house.admit()).refusal, RateLimited)
    assert list(purse.held) == ["turn-1"]


async def test_observe_puts_aside_beyond_the_budget_and_says_so():
    purse = FakePurse(50)
    grant = await House(purse, mode="observe").admit()
    assert (grant.refusal, grant.reserved.micros, purse.left) == (None, 900, -850)
    assert (grant.limit.decision, grant.limit.policy) == (Decision.OBSERVED, "budget_user_day")


async def test_a_ledger_that_is_away_is_no_answer_about_money():
    purse = FakePurse()
    purse.away = True
    house = House(purse)
    with pytest.raises(BudgetUnavailable):
        await house.admit()
    assert (await house.gate.peek(ANN)).remaining == 100


async def test_a_turn_goes_on_as_long_as_what_was_put_aside_covers_it():
    house = House(FakePurse(500))
    grant = await house.admit()  # 500 put aside
    call = Need(model="m", tokens=10, cost_micros=200, least_micros=200)
    await grant.call(lambda: call, 300)
    with pytest.raises(BudgetSpent):
        await grant.call(lambda: call, 301)


async def test_another_call_waits_for_its_tokens_but_not_for_long():
    house = House(tokens_per_minute=60_000)  # 12,000 at once, 800 a second
    grant = await house.admit(need=Need(model="m", tokens=12_000, cost_micros=0, least_micros=0))
    await grant.call(lambda: Need(model="m", tokens=800, cost_micros=0, least_micros=0), 0)
    assert house.slept == [pytest.approx(1.0, abs=0.01)]
    with pytest.raises(TokensSpent):
        await grant.call(lambda: Need(model="m", tokens=12_000, cost_micros=0, least_micros=0), 0)
    with pytest.raises(TokensSpent):
        await grant.call(lambda: Need(model="m", tokens=12_001, cost_micros=0, least_micros=0), 0)


async def test_without_money_and_tokens_nobody_weighs_another_call():
    grant = await House().admit()
    await grant.call(lambda: pytest.fail("it was weighed"), 10**9)


@pytest.mark.parametrize(("mode", "third"), [("enforce", False), ("observe", True), ("off", True)])
async def test_another_model_is_counted_as_if_it_had_been_asked_for(mode, third):
    house = House(models={"dear": 2}, mode=mode)
    grant = await house.admit()
    assert [await grant.model("dear") for _ in range(3)] == [True, True, third]
    assert await grant.model("free")


async def test_a_tool_has_a_number_for_each_user():
    house = House(tools={"calculate": 2})
    grant, other = await house.admit(), await house.admit(BEN)
    await grant.tool("calculate")
    await grant.tool("calculate")
    with pytest.raises(ToolLimited):
        await grant.tool("calculate")
    await grant.tool("current_time")
    await other.tool("calculate")
    observed = House(mode="observe", tools={"calculate": 1})
    grant = await observed.admit()
    await grant.tool("calculate")
    await grant.tool("calculate")


@pytest.mark.parametrize(("tools", "times"), [({}, 2), ({"other": 1}, 2), ({"mail": 3}, 3)], ids=str)
async def test_a_tool_s_own_number_holds_where_the_settings_have_none(tools, times):
    house = House(tools=tools)
    grant = await house.admit()
    for _ in range(times):
        await grant.tool("mail", 2)
    with pytest.raises(ToolLimited):
        await grant.tool("mail", 2)
    await house.gate.reset(ANN)
    await grant.tool("mail", 2)


async def test_rules_change_while_the_service_runs():
    house = House(roles={"CFO": 1})
    await house.admit()
    assert (await house.admit()).refusal
    house.gate.rules.limits = Limits(roles={"CFO": 3}, budgets=Budgets())
    assert [(await house.admit()).refusal is None for _ in range(3)] == [True, True, False]


async def test_a_caller_begins_anew():
    house = House(roles={"CFO": 1}, models={"m": 1})
    await house.admit()
    await house.gate.reset(ANN)
    limit = await house.gate.peek(ANN)
    assert limit.remaining == 1
    assert (await house.admit(model="n")).refusal is None


class SlowStore(MemoryStore):
    """Decides when it is told to, as one beyond a network may."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    async def decide(self, demand):
        self.asked.set()
        await self.answer.wait()
        return await super().decide(demand)


async def test_who_leaves_while_counts_are_asked_for_leaves_no_money_behind():
    purse, store = FakePurse(), SlowStore()
    gate = Gate(store, Rules(Limits(), 60_000), purse, lambda: NOW)
    leaving = asyncio.create_task(gate.admit(ANN, "turn-1", NOW, "m", lambda: NEED))
    await store.asked.wait()
    assert purse.held == {"turn-1": 900}
    leaving.cancel()
    await asyncio.wait((leaving,))
    assert leaving.cancelled()
    assert (purse.held, purse.left, purse.closed) == ({}, 1_000, {"turn-1": 0})
