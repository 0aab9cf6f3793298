"""What every store of limits promises, whatever it keeps its state in; each store is one line in STORES."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from service.limits.demand import Demand, Kind, Part, Rule, Verdict
from service.limits.loss import SharedStore
from service.limits.memory import MemoryStore
from service.limits.redis import RedisStore
from service.limits.store import Store
from tests.contracts.limit_model import Model, most_in_any_window
from tests.harness.redis import Redis

MS = 1_000_000
LONG_MS, SHORT_MS = 600_000, 100
"""Windows: one that no test outlives, even by a real clock; one that a test can wait for."""
SHORT = SHORT_MS * MS


class Clock:
    """Nanoseconds that move only when told."""

    def __init__(self, now: int = 10**15) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now

    async def elapse(self, milliseconds: int) -> None:
        """Let time go by."""
        self.now += milliseconds * MS


class RealClock(Clock):
    """The machine's; for stores that have a clock of their own, which nobody moves."""

    async def elapse(self, milliseconds: int) -> None:
        await asyncio.sleep(milliseconds / 1_000 + 0.002)


Open = Callable[[Clock], AbstractAsyncContextManager[Store]]


class Kept(Struct, frozen=True):
    """How a store is opened; whether its clock can be steered, and whether it gives back quantities."""

    open: Open
    steered: bool = True
    exact: bool = True


@asynccontextmanager
async def memory(clock: Clock) -> AsyncIterator[Store]:
    yield MemoryStore(clock)


@asynccontextmanager
async def memory_in_overflow(clock: Clock) -> AsyncIterator[Store]:
    yield MemoryStore(clock, max_keys=0, buckets=1 << 40)


@asynccontextmanager
async def redis(clock: Clock) -> AsyncIterator[Store]:
    assert isinstance(clock, RealClock)
    with Redis() as server:
        # how long a call takes on a busy machine is not what is promised here
        store = RedisStore(server.url(), patience=10)
        yield store
        await store.close()


@asynccontextmanager
async def shared(clock: Clock) -> AsyncIterator[Store]:
    assert isinstance(clock, RealClock)
    with Redis() as server:
        store = SharedStore(RedisStore(server.url(), patience=10), replicas=1)
        await store.start()
        yield store
        assert not store.degraded
        await store.close()


@asynccontextmanager
async def alone(clock: Clock) -> AsyncIterator[Store]:
    """One replica whose shared store was never there: its share is the whole."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{unheard.getsockname()[1]}/0"
        store = SharedStore(RedisStore(url), memory=lambda: MemoryStore(clock), clock=clock)
        store.name = "local"
        yield store
        await store.close()


STORES: dict[str, Kept] = {
    "memory": Kept(memory),
    "memory_in_overflow": Kept(memory_in_overflow, exact=False),
    "redis": Kept(redis, steered=False),
    "shared": Kept(shared, steered=False),
    "alone": Kept(alone),
}
STEERED = {name: kept for name, kept in STORES.items() if kept.steered}


@pytest.fixture(params=STORES.values(), ids=STORES.keys())
def kept(request) -> Kept:
    return request.param


@pytest.fixture
def clock(kept: Kept) -> Clock:
    return Clock() if kept.steered else RealClock()


@pytest.fixture
async def store(kept: Kept, clock: Clock) -> AsyncIterator[Store]:
    async with kept.open(clock) as store:
        yield store


steered = pytest.mark.parametrize("kept", STEERED.values(), ids=STEERED.keys())
"""Every store whose clock stands still until it is told; the fixtures take it from there."""


def rule(kind: Kind, limit: int, window_ms: int = LONG_MS, name: str = "") -> Rule:
    return Rule(name=name or kind.value, kind=kind, limit=limit, window_ms=window_ms)


def ask(*rules: Rule, subject: str = "a", cost: int = 1, lease: str = "", tag: str = "") -> Demand:
    parts = tuple(
        Part(rule=each, subject=subject, cost=cost if each.kind is Kind.QUANTITY else 1) for each in rules
    )
    return Demand(tag=tag or subject, parts=parts, lease=lease)


def admitted(verdict: Verdict) -> bool:
    return verdict.denied is None


async def decisions(store: Store, demand: Demand, times: int) -> list[bool]:
    """What it is told who asks so often; each time for a lease of its own."""
    return [
        admitted(await store.decide(replace(demand, lease=f"{demand.lease}{number}")))
        for number in range(times)
    ]


COUNT, TOKENS, TURNS = (rule(kind, 10) for kind in Kind)
AT_ONCE = {"count": (COUNT, 10), "quantity": (TOKENS, 2), "lease": (TURNS, 10)}
"""A rule, and how often one is admitted at once."""
each_kind = pytest.mark.parametrize(("one", "most"), AT_ONCE.values(), ids=AT_ONCE.keys())


@each_kind
async def test_a_burst_from_idle_is_admitted_whole_and_not_one_more(store, one, most):
    assert await decisions(store, ask(one), most + 3) == [True] * most + [False] * 3


@each_kind
async def test_it_says_how_all_stands_and_who_decided(store, one, most):
    before, first = await store.peek(ask(one)), await store.decide(ask(one, lease="x"))
    assert (before.standings[0].remaining, before.standings[0].reset_ms) == (most, 0)
    assert (first.standings[0].remaining, first.standings[0].wait_ms) == (most - 1, 0)
    assert 0 < first.standings[0].reset_ms <= LONG_MS
    assert (first.store, first.standings[0].rule) == (store.name, one)


@each_kind
async def test_who_is_denied_is_told_what_stands_in_the_way_and_for_how_long(store, one, most):
    await decisions(store, ask(one), most)
    denied = (await store.decide(ask(one, lease="late"))).denied
    assert (denied.rule, denied.remaining) == (one, 0)
    assert 0 < denied.wait_ms <= LONG_MS


@each_kind
async def test_peek_says_what_decide_would_and_counts_nothing(store, one, most):
    for number in range(most + 2):
        seen = [admitted(await store.peek(ask(one, lease=f"{number}"))) for _ in range(3)]
        assert seen == [admitted(await store.decide(ask(one, lease=f"{number}")))] * 3


@each_kind
async def test_subjects_do_not_share(store, one, most):
    names = [
        "a/b",
        "a",
        "b",
        "",
        " ",
        "a\x00b",
        "é",
        "e\u0301",
        "\ud800",
        "\ud801",
        "x" * 99_999,
        "x" * 99_998,
    ]
    for name in names:
        assert await decisions(store, ask(one, subject=name), most + 1) == [True] * most + [False], name[:9]


@each_kind
async def test_rules_and_tags_do_not_share(store, one, most):
    for demand in (ask(one), ask(replace(one, name="other")), ask(one, tag="other")):
        assert await decisions(store, demand, most + 1) == [True] * most + [False]


@each_kind
async def test_a_refusal_costs_the_other_parts_nothing(store, one, most):
    full = rule(Kind.COUNT, 1, name="full")
    await store.decide(ask(full))
    for first, second in ((one, full), (full, one)):
        verdict = await store.decide(ask(first, second, lease="refused"))
        assert verdict.denied.rule == full
        assert [each.rule for each in verdict.standings] == [first, second]
        assert {each.rule.name: each.remaining for each in verdict.standings} == {one.name: most, "full": 0}
    assert await decisions(store, ask(one), most + 1) == [True] * most + [False]


async def test_all_parts_are_counted_together(store):
    verdict = await store.decide(ask(COUNT, TOKENS, TURNS, lease="x", cost=2))
    assert [each.remaining for each in verdict.standings] == [9, 0, 9]
    assert [each.wait_ms for each in verdict.standings] == [0, 0, 0]


async def test_what_stands_longest_in_the_way_is_named(store):
    short, long = rule(Kind.COUNT, 1, 60_000, "short"), rule(Kind.COUNT, 1, LONG_MS, "long")
    for demand in (ask(long), ask(short)):
        await store.decide(demand)
    verdict = await store.decide(ask(short, COUNT, long))
    assert [each.wait_ms == 0 for each in verdict.standings] == [False, True, False]
    assert verdict.denied.rule == long


async def test_more_tokens_than_the_burst_are_never_admitted(store):
    verdict = await store.decide(ask(COUNT, rule(Kind.QUANTITY, 50), cost=11))
    assert verdict.denied.wait_ms is None
    assert [each.remaining for each in verdict.standings] == [10, 10]


async def test_a_limit_of_one_token_admits_one(store):
    assert await decisions(store, ask(rule(Kind.QUANTITY, 1)), 2) == [True, False]


async def test_equal_leases_are_one(store):
    one = rule(Kind.LEASE, 2)
    for lease in ("x", "x", "x"):
        assert (await store.decide(ask(one, lease=lease))).standings[0].remaining == 1
    assert admitted(await store.decide(ask(one, lease="y")))
    assert admitted(await store.decide(ask(one, lease="x")))
    assert not admitted(await store.decide(ask(one, lease="z")))


async def test_leases_of_one_name_but_other_subjects_are_several(store):
    one, demands = rule(Kind.LEASE, 1), [ask(rule(Kind.LEASE, 1), subject=name, lease="x") for name in "ab"]
    verdicts = [await store.decide(demand) for demand in demands]
    await store.settle(demands[0], verdicts[0], 0)
    assert admitted(await store.peek(ask(one, subject="a", lease="y")))
    assert not admitted(await store.peek(ask(one, subject="b", lease="y")))


async def test_a_lease_given_back_is_free_at_once_and_giving_it_back_twice_frees_nobody_else(store):
    one = rule(Kind.LEASE, 1)
    first, second = ask(one, lease="x"), ask(one, lease="y")
    verdict = await store.decide(first)
    assert not admitted(await store.decide(second))
    await store.settle(first, verdict, 0)
    assert admitted(await store.decide(second))
    await store.settle(first, verdict, 0)
    assert not admitted(await store.decide(ask(one, lease="z")))


async def test_what_was_denied_gives_nothing_back(store):
    one, full = rule(Kind.LEASE, 1), rule(Kind.COUNT, 1, name="full")
    await store.decide(ask(one, full, lease="x"))
    again = ask(one, full, lease="x")
    await store.settle(again, await store.decide(again), 0)
    assert not admitted(await store.decide(ask(one, lease="y")))


async def test_tokens_not_spent_are_given_back(store, kept):
    if not kept.exact:
        pytest.skip("what others may have been judged by is not given back")
    one = rule(Kind.QUANTITY, 1_000)
    for _ in range(10):
        demand = ask(one, cost=200)
        verdict = await store.decide(demand)
        assert admitted(verdict)
        await store.settle(demand, verdict, 0)
    assert (await store.peek(ask(one))).standings[0].remaining == 200


async def test_tokens_spent_beyond_the_cost_are_charged(store):
    one = rule(Kind.QUANTITY, 1_000)
    demand = ask(one, cost=50)
    verdict = await store.decide(demand)
    await store.settle(demand, verdict, 100)
    assert (await store.peek(ask(one))).standings[0].remaining == 100


async def test_nothing_is_counted_twice_or_given_back_of_a_count(store):
    demand = ask(COUNT, TURNS, lease="x")
    verdict = await store.decide(demand)
    await store.settle(demand, verdict, 0)
    assert [each.remaining for each in (await store.peek(demand)).standings] == [9, 10]


@each_kind
async def test_reset_forgets_what_was_counted_for_these_subjects_only(store, one, most):
    for name in "ab":
        await decisions(store, ask(one, subject=name), most)
    await store.reset(ask(one, subject="a"))
    assert await decisions(store, ask(one, subject="b", lease="more"), 1) == [False]
    assert await decisions(store, ask(one, subject="a", lease="more"), most + 1) == [True] * most + [False]


async def test_reset_of_somebody_unknown(store):
    await store.reset(ask(COUNT, TOKENS, TURNS, subject="nobody"))
    assert admitted(await store.decide(ask(COUNT, TOKENS, TURNS, subject="nobody")))


@pytest.mark.parametrize("kind", Kind)
async def test_after_the_wait_one_is_admitted(store, clock, kind):
    one, leases = rule(kind, 3, 3 * SHORT_MS), map(str, count())
    while (denied := (await store.decide(ask(one, lease=next(leases)))).denied) is None:
        pass
    await clock.elapse(denied.wait_ms)
    assert admitted(await store.decide(ask(one, lease="late")))


@steered
@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("elapsed", [0, 1, 999_999, MS, 1_500_000, 33 * MS + 1, SHORT - MS, SHORT - 1])
async def test_waits_are_exact(kept, kind, elapsed):
    async def at_wait_less(milliseconds: int) -> bool:
        clock, one = Clock(), rule(kind, 1, SHORT_MS)
        async with kept.open(clock) as store:
            await store.decide(ask(one, lease="x"))
            clock.now += elapsed
            wait = (await store.decide(ask(one, lease="y"))).denied.wait_ms
            clock.now += (wait - milliseconds) * MS
            return admitted(await store.decide(ask(one, lease="y")))

    assert await at_wait_less(0)
    assert not await at_wait_less(1)


@steered
@pytest.mark.parametrize("kind", Kind)
async def test_reset_is_when_remaining_rises(store, clock, kind):
    one = rule(kind, 15, SHORT_MS)
    for number in range(2):
        await store.decide(ask(one, lease=f"{number}"))
        clock.now += 2 * MS + 1
    told = (await store.peek(ask(one))).standings[0]
    clock.now += (told.reset_ms - 1) * MS
    assert (await store.peek(ask(one))).standings[0].remaining == told.remaining
    clock.now += MS
    assert (await store.peek(ask(one))).standings[0].remaining == told.remaining + 1


@steered
@pytest.mark.parametrize("kind", Kind)
async def test_an_admission_counts_to_the_last_nanosecond_and_no_longer(store, clock, kind):
    one = rule(kind, 1, SHORT_MS)
    assert admitted(await store.decide(ask(one, lease="x")))
    clock.now += SHORT - 1
    assert not admitted(await store.decide(ask(one, lease="y")))
    clock.now += 1
    assert (await store.peek(ask(one))).standings[0].reset_ms == 0
    assert admitted(await store.decide(ask(one, lease="y")))


@steered
async def test_a_raised_limit_counts_what_was_admitted_before(store):
    for one, left in ((rule(Kind.COUNT, 5), 3), (rule(Kind.LEASE, 5), 3), (rule(Kind.QUANTITY, 50), None)):
        await decisions(store, ask(replace(one, limit=2)), 2)
        remaining = (await store.peek(ask(one, lease="new"))).standings[0].remaining
        assert remaining == left if left is not None else remaining < 10


@steered
@pytest.mark.parametrize("kind", [Kind.COUNT, Kind.LEASE])
async def test_a_lowered_limit_waits_for_as_many_to_expire_as_it_takes(store, clock, kind):
    five = rule(kind, 5, SHORT_MS)
    for number in range(5):
        await store.decide(ask(five, lease=f"{number}"))
        clock.now += 10 * MS
    two = ask(replace(five, limit=2), lease="late")
    told = (await store.decide(two)).standings[0]
    # in 80 ms the fourth admission goes, whose end leaves fewer than two
    assert (told.remaining, told.wait_ms, told.reset_ms) == (0, 80, 80)
    clock.now += 80 * MS - 1
    assert not admitted(await store.decide(two))
    clock.now += 1
    assert admitted(await store.decide(two))


@steered
@pytest.mark.parametrize("kind", Kind)
async def test_another_window_of_the_rule_frees_nobody(store, kind):
    one = rule(kind, 1)
    await store.decide(ask(one, lease="x"))
    for window_ms in (2 * LONG_MS, LONG_MS // 2, LONG_MS):
        assert not admitted(await store.decide(ask(replace(one, window_ms=window_ms), lease="y")))


async def test_one_key_in_a_crowd_of_tasks(store):
    """Whoever suspends between looking and counting admits too many here."""
    demands = [ask(COUNT, TURNS, lease=f"{number}") for number in range(40)]
    verdicts = await asyncio.gather(*map(store.decide, demands))
    assert sum(map(admitted, verdicts)) == 10


PAUSES = st.one_of(
    st.sampled_from([0, 1, SHORT - 1, SHORT, SHORT + 1, SHORT // 2]),
    st.integers(0, 2 * SHORT),
    st.integers(0, SHORT // 8),
)
"""An adversary's: many end a nanosecond before, at or after a boundary."""
BURSTS = st.lists(st.tuples(PAUSES, st.integers(1, 6), st.integers(1, 4)), max_size=40)


@steered
@given(steps=BURSTS, limit=st.integers(1, 5))
@example(steps=[(0, 4, 1), (SHORT - 1, 4, 1), (1, 4, 1)], limit=4)
async def test_no_window_ever_holds_more_than_a_count(kept, steps, limit):
    clock, times = Clock(), []
    async with kept.open(clock) as store:
        for pause, burst, _ in steps:
            clock.now += pause
            asked = await decisions(store, ask(rule(Kind.COUNT, limit, SHORT_MS)), burst)
            times += [(clock.now, 1)] * sum(asked)
    assert most_in_any_window(times, SHORT) <= limit


@steered
@given(steps=BURSTS)
async def test_counts_are_those_of_the_definition_even_when_limits_change(kept, steps):
    clock, times = Clock(), []
    async with kept.open(clock) as store:
        for pause, burst, limit in steps:
            clock.now += pause
            for _ in range(burst):
                used = sum(1 for time in times if time > clock.now - SHORT)
                verdict = await store.decide(ask(rule(Kind.COUNT, limit, SHORT_MS)))
                assert admitted(verdict) == (used < limit)
                assert verdict.standings[0].remaining == max(0, limit - used - admitted(verdict))
                times += [clock.now] * admitted(verdict)


FIFTIETH = SHORT // 50
"""Of the window: about what a token is worth."""
TOKEN_STEPS = st.lists(
    st.tuples(
        st.one_of(PAUSES, st.integers(0, 12).map(FIFTIETH.__mul__)),
        st.integers(1, 12),
        st.integers(0, 12),
        st.integers(0, 3),
    ),
    max_size=20,
)
"""A pause, a cost, what is spent of it, and which of the open demands is settled then."""


class Spender:
    """Asks for tokens, settles some time, and notes what it really spent, and when that was decided."""

    def __init__(self, store: Store, clock: Clock, limit: int) -> None:
        self._store, self._clock, self._rule = store, clock, rule(Kind.QUANTITY, limit, SHORT_MS)
        self.spent: list[tuple[int, int]] = []
        self._open: list[tuple[int, Demand, Verdict, int]] = []

    async def ask(self, cost: int, real: int) -> None:
        demand = ask(self._rule, cost=cost)
        verdict = await self._store.decide(demand)
        if admitted(verdict):
            self._open.append((len(self.spent), demand, verdict, min(cost, real)))
            self.spent.append((self._clock.now, cost))

    async def settle(self, which: int) -> None:
        if which < len(self._open):
            number, demand, verdict, real = self._open.pop(which)
            self.spent[number] = (self.spent[number][0], real)
            await self._store.settle(demand, verdict, real)


@steered
@given(steps=TOKEN_STEPS, limit=st.integers(1, 60))
@example(steps=[(0, 10, 0, 3), (SHORT * 99 // 410, 8, 8, 0), (0, 10, 10, 3)], limit=50)
async def test_no_window_ever_holds_more_tokens_than_the_limit_by_what_was_really_spent(kept, steps, limit):
    clock = Clock()
    async with kept.open(clock) as store:
        spender = Spender(store, clock, limit)
        for pause, cost, real, settled in steps:
            clock.now += pause
            await spender.ask(cost, real)
            await spender.settle(settled)
        # who was given back too much can use it up within a window
        for _ in range(200):
            await spender.ask(1, 1)
            clock.now += SHORT // 200
    assert most_in_any_window(spender.spent, SHORT) <= limit


MIXED = st.lists(
    st.tuples(
        PAUSES,
        st.lists(
            st.sampled_from(["count", "count2", "quantity", "lease"]), min_size=1, max_size=4, unique=True
        ),
        st.sampled_from("ab"),
        st.integers(1, 4),
        st.sampled_from("xyz"),
        st.one_of(st.none(), st.tuples(st.integers(0, 3), st.integers(0, 4))),
    ),
    max_size=40,
)
"""A pause, rules, a subject, a cost, a lease, and which open demand is settled to what."""
RULES = {
    "count": rule(Kind.COUNT, 3, SHORT_MS),
    "count2": rule(Kind.COUNT, 5, 2 * SHORT_MS, "count2"),
    "quantity": rule(Kind.QUANTITY, 20, SHORT_MS),
    "lease": rule(Kind.LEASE, 2, SHORT_MS),
}


@steered
@given(steps=MIXED)
async def test_mixed_demands_are_decided_as_by_the_definition(kept, steps):
    clock, model, unsettled = Clock(), Model(), []
    async with kept.open(clock) as store:
        for pause, names, subject, cost, lease, settled in steps:
            clock.now += pause
            demand = ask(*(RULES[name] for name in names), subject=subject, cost=cost, lease=lease)
            fits = model.fits(demand, clock.now)
            verdict = await store.decide(demand)
            told = [each.wait_ms == 0 for each in verdict.standings]
            assert (
                told == fits
                if kept.exact
                else all(fit or not said for fit, said in zip(fits, told, strict=True))
            )
            if admitted(verdict):
                unsettled.append((demand, verdict, model.take(demand, clock.now)))
            unsettled = [each for each in unsettled if each[1].at > clock.now - SHORT]
            if settled and settled[0] < len(unsettled):
                demand, verdict, taken = unsettled.pop(settled[0])
                real = min(settled[1], taken_cost(demand))
                await store.settle(demand, verdict, real)
                model.settle(taken, real)


def taken_cost(demand: Demand) -> int:
    return max(part.cost for part in demand.parts)


@steered
@given(steps=MIXED)
async def test_waits_are_exact_to_the_millisecond(kept, steps):
    clock = Clock()
    async with kept.open(clock) as store:
        for pause, names, subject, cost, lease, _ in steps:
            clock.now += pause
            demand = ask(*(RULES[name] for name in names), subject=subject, cost=cost, lease=lease)
            denied = (await store.decide(demand)).denied
            if denied and denied.wait_ms:
                clock.now += (denied.wait_ms - 1) * MS
                assert not admitted(await store.peek(demand))
                clock.now += MS
                assert admitted(await store.peek(demand))
