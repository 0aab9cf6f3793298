"""What was admitted before the start counts as if there had been none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, structs

from config.settings import Limits
from service.limits.demand import Demand
from service.limits.memory import MemoryStore
from service.limits.recount import Recount
from service.limits.rules import Rules
from telemetry.record import Caller

SECOND = 1_000_000
NOW = 1_764_000_000 * SECOND
OWN = 77_000_000_000
"""The store's clock at that moment, in nanoseconds."""
LIMITS = Limits(
    requests=3, roles={"CFO": 3}, tenant=5, models={"dear": 2}, tokens_per_minute=500, tools={"calculate": 1}
)


class Turn(Struct, frozen=True):
    decided_at: int | None
    user_id: str | None = "ann"
    role: str = "CFO"
    tenant: str | None = None
    model: str | None = "cheap"
    tokens: int = 0
    counted: bool = True
    ended_at: int = 0


class House:
    """A store that was told of turns, its clock, and how somebody stands."""

    def __init__(self, *turns, resets=None, limits=LIMITS):
        self.own = OWN
        self.store, self.rules = MemoryStore(clock=lambda: self.own), Rules(limits, 1)
        recount = Recount(self.store, self.rules, resets or {}, lambda user: f"of {user}", (NOW, OWN))
        recount.take(turns)
        recount.finish()

    async def left(self, model="cheap", **whose):
        known = {"user_id": "ann", "role": "CFO", "method": "", "credential_id": "", "pseudonym": ""}
        demand = self.rules.of_turn(Caller(**known | whose), "", model, 1)
        return {each.rule.name: each for each in (await self.store.peek(demand)).standings}


def ago(seconds, **facts):
    return Turn(NOW - round(seconds * SECOND), **facts)


async def test_admissions_of_the_window_count_until_it_is_over():
    house = House(ago(61), ago(60), ago(40), ago(10))
    assert (await house.left())["role"].remaining == 1
    assert (await house.left())["role"].reset_ms == 20_000
    house.own += 20 * 1_000 * SECOND
    assert (await house.left())["role"].remaining == 2
    house.own += 30 * 1_000 * SECOND
    assert (await house.left())["role"].remaining == 3


@pytest.mark.parametrize(
    "turn", [ago(1, counted=False), Turn(None), ago(1, user_id=None), ago(1, user_id="bob")]
)
async def test_what_was_not_admitted_or_is_another_ones_does_not_count(turn):
    assert (await House(turn).left())["role"].remaining == 3


async def test_tenants_and_models_are_counted_and_users_of_one_name_are_two():
    acme = {"tenant": "acme"}
    house = House(ago(3, model="dear", **acme), ago(2, user_id="bob", **acme), ago(1))
    told = await house.left("dear", **acme)
    assert (told["role"].remaining, told["tenant"].remaining, told["model"].remaining) == (2, 3, 1)
    told = await house.left("dear")
    assert (told["role"].remaining, "tenant" in told, told["model"].remaining) == (2, False, 2)


async def test_what_was_decided_after_now_by_a_clock_set_back_counts_from_now():
    house = House(ago(-3600))
    assert (await house.left())["role"].reset_ms == 60_000


async def test_tokens_count_from_the_end_of_their_turn_in_the_order_of_time():
    first = ago(10, tokens=40, ended_at=NOW - 1 * SECOND)
    second = ago(9, tokens=30, ended_at=NOW - 8 * SECOND)
    long_over = ago(100, tokens=90, ended_at=NOW - 61 * SECOND)
    still_felt = ago(70, tokens=10, ended_at=NOW - 2 * SECOND)
    told = await House(first, second, long_over, still_felt).left()
    want = MemoryStore(clock=lambda: OWN)
    rules = Rules(LIMITS, 1)
    caller = Caller(user_id="ann", role="CFO", method="", credential_id="", pseudonym="")
    for at, tokens in ((8, 30), (2, 10), (1, 40)):
        want.record(rules.of_call(caller, tokens), OWN - at * 1_000 * SECOND)
    (expected,) = (await want.peek(rules.of_call(caller, 1))).standings
    assert (told["tokens"].remaining, told["tokens"].reset_ms) == (expected.remaining, expected.reset_ms)
    assert expected.remaining < 100


async def test_what_came_before_a_reset_is_forgotten_but_not_for_the_tenant():
    acme = {"tenant": "acme"}
    turns = [ago(3, tokens=50, ended_at=NOW - SECOND, **acme), ago(2, **acme), ago(1, **acme)]
    house = House(*turns, resets={"of ann": NOW - 2 * SECOND, "of bob": NOW})
    told = await house.left(**acme)
    assert (told["role"].remaining, told["tenant"].remaining, told["tokens"].remaining) == (2, 2, 100)


@given(st.lists(st.integers(0, 70_000), max_size=40))
async def test_no_window_across_the_restart_holds_more_than_the_limit(ages):
    """Whatever a store admitted before, by its own clock, is what the next one goes on from."""
    limits = structs.replace(LIMITS, roles={"CFO": 5}, tokens_per_minute=None)
    rules = Rules(limits, 1)
    caller = Caller(user_id="ann", role="CFO", method="", credential_id="", pseudonym="")
    moment = [0]
    before, admitted = MemoryStore(clock=lambda: moment[0]), list[int]()
    for age in sorted(ages, reverse=True):
        moment[0] = (70_000 - age) * SECOND
        if not (await before.decide(count_of(rules, caller))).denied:
            admitted.append(age)
    turns = [Turn(NOW - age * 1_000) for age in admitted]
    house = House(*turns, limits=limits)
    then = [-age for age in admitted]
    for later in range(0, 70_000, 3_000):
        house.own = OWN + later * SECOND
        while not (await house.store.decide(count_of(rules, caller))).denied:
            then.append(later)
    assert max(sum(at <= each < at + 60_000 for each in then) for at in then) == 5


def count_of(rules, caller):
    turn = rules.of_turn(caller, "", None, 1)
    return Demand(tag=turn.tag, parts=turn.parts[:1])
