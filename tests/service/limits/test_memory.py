import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.limits.demand import Demand, Kind, Part, Rule, Verdict
from service.limits.memory import MemoryStore
from service.limits.state import packed, short, unpacked

WINDOW_MS = 1_000
WINDOW = WINDOW_MS * 1_000_000
MS = 1_000_000


class Clock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def small(clock: Clock, max_keys: int = 100, buckets: int = 8) -> MemoryStore:
    return MemoryStore(clock, max_keys, buckets)


def demand(subject: str, limit: int = 3, kind: Kind = Kind.COUNT, lease: str = "", cost: int = 1) -> Demand:
    rule = Rule(name=kind.value, kind=kind, limit=limit, window_ms=WINDOW_MS)
    return Demand(tag=subject, parts=(Part(rule=rule, subject=subject, cost=cost),), lease=lease)


async def admits(store: MemoryStore, *args, **kwargs) -> bool:
    return (await store.decide(demand(*args, **kwargs))).denied is None


async def left(store: MemoryStore, *args, **kwargs) -> int:
    return (await store.peek(demand(*args, **kwargs))).standings[0].remaining


async def wait(store: MemoryStore, *args, **kwargs) -> int | None:
    return (await store.peek(demand(*args, **kwargs))).standings[0].wait_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_a_flood_neither_frees_an_offender_nor_blocks_a_victim(clock):
    store = small(clock)
    assert [await admits(store, "offender") for _ in range(4)] == [True, True, True, False]
    assert await admits(store, "victim")
    for number in range(5_000):
        await store.decide(demand(f"flood-{number}"))
        clock.now += 1
        assert not await admits(store, "offender")
    assert [await admits(store, "victim") for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("kind", Kind)
async def test_memory_is_bounded_under_a_flood(clock, kind):
    store = small(clock)
    for number in range(5_000):
        await store.decide(demand(f"flood-{number}", kind=kind, lease=f"{number}"))
    assert len(store) == 100 + 3 * 8
    assert sum(len(getattr(each, "leases", ())) for each in store._crowd._states.values()) <= 9 * 8 * 3


async def test_memory_is_bounded_when_the_flood_goes_on_for_many_windows(clock):
    store, most = small(clock), 0
    for number in range(20_000):
        await store.decide(demand(f"flood-{number}"))
        clock.now += WINDOW // 80
        most = max(most, len(store))
    # 80 a window fit: no bucket was ever needed, and the idle ones were gone before new ones came
    assert most <= 82


async def test_refusals_and_peeks_hold_nothing(clock):
    store = small(clock)
    for number in range(50):
        await store.peek(demand(f"curious-{number}"))
        await store.decide(demand(f"greedy-{number}", kind=Kind.QUANTITY, cost=100))
    assert len(store) == 0


async def test_idle_keys_go_two_a_call_and_never_in_one_sweep(clock):
    store = small(clock)
    for number in range(100):
        await store.decide(demand(f"early-{number}"))
    clock.now += WINDOW
    sizes = []
    for _ in range(60):
        await store.decide(demand("late", limit=1_000))
        sizes.append(len(store))
    assert sizes[:3] == [99, 97, 95]
    assert sizes[-1] == 1


async def test_a_demand_of_many_parts_forgets_twice_as_many(clock):
    store, rules = small(clock), [demand("x", kind=kind).parts[0].rule for kind in Kind]
    for number in range(10):
        await store.decide(
            Demand(tag="", parts=tuple(Part(rule=rule, subject=f"{number}") for rule in rules))
        )
    clock.now += WINDOW
    await store.decide(Demand(tag="", parts=tuple(Part(rule=rule, subject="new") for rule in rules)))
    assert len(store) == 30 - 6 + 3


async def test_a_key_that_is_still_live_stays_behind_idle_ones(clock):
    store = small(clock)
    await store.decide(demand("steady", 2))
    await store.decide(demand("idle", 2))
    clock.now += WINDOW // 2
    await store.decide(demand("steady", 2))
    clock.now += WINDOW // 2
    await store.decide(demand("other", 2))
    assert len(store) == 2
    assert await left(store, "steady", 2) == 1


async def test_windows_of_several_lengths_end_in_their_own_time(clock):
    store = small(clock)
    long = Rule(name="day", kind=Kind.COUNT, limit=1, window_ms=10 * WINDOW_MS)
    await store.decide(Demand(tag="a", parts=(Part(rule=long, subject="a"),)))
    await store.decide(demand("short"))
    clock.now += WINDOW
    await store.decide(demand("late"))
    assert [live.subject for live in store.recent()] == ["a", "late"]
    clock.now += 9 * WINDOW
    await store.decide(demand("later"))
    assert [live.subject for live in store.recent()] == ["later"]


async def test_a_window_that_no_rule_has_any_more_is_forgotten_too(clock):
    store = small(clock)
    await store.decide(demand("early"))
    clock.now += WINDOW
    other = Rule(name="count", kind=Kind.COUNT, limit=3, window_ms=WINDOW_MS // 2)
    await store.decide(Demand(tag="late", parts=(Part(rule=other, subject="late"),)))
    assert len(store) == 1


async def test_tokens_spent_far_ahead_are_remembered_and_stand_in_nobodys_way(clock):
    store = small(clock)
    ahead = demand("ahead", limit=10, kind=Kind.QUANTITY)
    await store.settle(ahead, await store.decide(ahead), 90)
    for number in range(50):
        await store.decide(demand(f"{number}", kind=Kind.QUANTITY))
    clock.now += 2 * WINDOW
    for _ in range(60):
        await store.decide(demand("late"))
    assert len(store) == 2
    assert not await admits(store, "ahead", limit=10, kind=Kind.QUANTITY)


async def test_given_back_leases_hold_nothing(clock):
    store = small(clock)
    for number in range(500):
        one = demand(f"{number}", kind=Kind.LEASE, lease="x")
        await store.settle(one, await store.decide(one), 0)
    assert len(store) == 0


async def test_new_subjects_share_what_is_left_and_get_their_own_again(clock):
    store = small(clock, max_keys=1, buckets=1)
    await store.decide(demand("held", 2))
    assert [await admits(store, name, 2) for name in ("b", "c", "d")] == [True, True, False]
    assert await wait(store, "d", 2) == WINDOW_MS
    clock.now += WINDOW
    assert [await admits(store, "d", 2) for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("kind", [Kind.COUNT, Kind.LEASE])
async def test_what_was_admitted_in_the_crowd_still_counts_for_a_key_that_leaves_it(clock, kind):
    store = small(clock, max_keys=1, buckets=1)
    await store.decide(demand("held", kind=kind, lease="x"))
    clock.now += WINDOW - 1
    assert [await admits(store, "b", kind=kind, lease=lease) for lease in "xy"] == [True, True]
    clock.now += 1
    # `held` is idle now, so `b` gets a state of its own: not one that starts afresh
    assert [await admits(store, "b", kind=kind, lease=lease) for lease in "zu"] == [True, False]
    assert await wait(store, "b", kind=kind, lease="u") == WINDOW_MS


async def test_a_lease_of_the_crowd_can_be_given_back_wherever_its_key_is_by_then(clock):
    store = small(clock, max_keys=1, buckets=1)
    await store.decide(demand("held", kind=Kind.LEASE, lease="x"))
    first, second = (demand("b", 2, kind=Kind.LEASE, lease=lease) for lease in "xy")
    told = [await store.decide(each) for each in (first, second)]
    await store.settle(first, told[0], 0)
    assert await left(store, "b", 2, kind=Kind.LEASE) == 1
    clock.now += WINDOW - 1
    await store.decide(demand("c", 2, kind=Kind.LEASE, lease="z"))
    clock.now += 1
    third = demand("c", 2, kind=Kind.LEASE, lease="z")
    await store.decide(third)
    await store.settle(third, Verdict(standings=(), at=0, store="memory"), 0)
    assert await left(store, "c", 2, kind=Kind.LEASE) == 2


async def test_in_the_crowd_nothing_is_given_back_of_a_quantity_and_excess_is_charged(clock):
    store = small(clock, max_keys=0)
    one = demand("a", limit=100, kind=Kind.QUANTITY, cost=10)
    await store.settle(one, await store.decide(one), 0)
    assert await left(store, "a", limit=100, kind=Kind.QUANTITY) == 10
    await store.settle(one, await store.decide(one), 30)
    clock.now += WINDOW * 20 // 81
    assert await left(store, "a", limit=100, kind=Kind.QUANTITY) == 0
    clock.now += WINDOW * 20 // 81 + 1
    assert await left(store, "a", limit=100, kind=Kind.QUANTITY) == 20


async def test_tokens_spent_far_ahead_are_remembered_in_the_crowd_too(clock):
    store, one = small(clock, max_keys=0), demand("a", limit=10, kind=Kind.QUANTITY)
    await store.settle(one, await store.decide(one), 90)
    clock.now += 2 * WINDOW
    for _ in range(5):
        assert not await admits(store, "a", limit=10, kind=Kind.QUANTITY)


async def test_whoever_asks_much_blocks_few_of_the_others_in_the_crowd(clock):
    """A tenth of the buckets is full: of those who are new one in ten would be blocked by one table alone."""
    store = small(clock, max_keys=0, buckets=1_000)
    for number in range(100):
        for _ in range(20):
            await store.decide(demand(f"offender-{number}", limit=20))
    blocked = [await wait(store, f"new-{number}", limit=20) for number in range(10_000)]
    assert 0 < 10_000 - blocked.count(0) < 60


async def test_reset_in_the_crowd_is_for_the_subject_alone(clock):
    store = small(clock, max_keys=0, buckets=1)
    for _ in range(3):
        await store.decide(demand("a"))
    await store.reset(demand("a"))
    assert [await admits(store, "a") for _ in range(4)] == [True, True, True, False]
    assert not await admits(store, "b")


async def test_a_crowd_that_is_over_is_forgotten(clock):
    store = small(clock, max_keys=1)
    for number in range(20):
        await store.decide(demand(f"{number}"))
    clock.now += WINDOW
    for number in range(40):
        await store.decide(demand(f"later-{number}"))
        clock.now += WINDOW
    assert len(store) == 1


async def test_names_meet_in_buckets_by_a_secret(clock):
    async def met() -> tuple[bool, ...]:
        store = small(clock, max_keys=0, buckets=16)
        return tuple([await admits(store, f"name-{number}", 1) for number in range(64)])

    assert len({await met() for _ in range(5)}) > 1


async def test_a_clock_that_steps_back_frees_nobody_and_blocks_nobody_for_long(clock):
    store = small(clock)
    clock.now = 10 * WINDOW
    assert [await admits(store, "a", 1), await admits(store, "a", 1)] == [True, False]
    clock.now = 0
    assert not await admits(store, "a", 1)
    assert await wait(store, "a", 1) == WINDOW_MS
    clock.now = 11 * WINDOW
    assert await admits(store, "a", 1)


async def test_its_own_clock_runs():
    store = MemoryStore()
    assert [await admits(store, "a", 2) for _ in range(3)] == [True, True, False]
    first = store._now
    await store.peek(demand("a"))
    assert store._now > first


async def test_a_long_name_takes_bounded_room_and_no_other_can_pass_for_it(clock):
    long = "x" * 1_000
    assert len(short(long)) == 64
    assert short(short(long)) != short(long)
    store = small(clock)
    await store.decide(demand(long, 1))
    assert await admits(store, short(long), 1)
    assert not await admits(store, long, 1)


NAMES = st.text(max_size=64)


@given(one=st.tuples(NAMES, NAMES, NAMES), other=st.tuples(NAMES, NAMES, NAMES))
@example(one=("a", "b", ""), other=("", "b", "a"))
@example(one=("a", "b", "c"), other=("a", "", "cb"))
def test_a_packed_key_is_one_keys_alone(one, other):
    assert unpacked(packed(one)) == one
    assert (packed(one) == packed(other)) == (one == other)


@pytest.mark.parametrize("kind", Kind)
async def test_what_was_admitted_elsewhere_counts(clock, kind):
    store = small(clock)
    store.record(demand("a", 10, kind, lease="x"))
    assert await left(store, "a", 10, kind) == (1 if kind is Kind.QUANTITY else 9)


async def test_what_was_admitted_before_the_start_counts_for_the_rest_of_its_window(clock):
    store = small(clock)
    clock.now = 10 * WINDOW
    for ago in (3 * WINDOW, WINDOW, WINDOW - 1, WINDOW // 2):
        store.record(demand("a"), clock.now - ago)
    assert await left(store, "a") == 1
    clock.now += 1
    assert await left(store, "a") == 2
    clock.now += WINDOW // 2 - 1
    assert await left(store, "a") == 3


async def test_what_is_recorded_is_not_refused_and_blocks_until_it_is_less_than_the_limit(clock):
    store = small(clock)
    for number in range(5):
        verdict = store.record(demand("a", lease=f"{number}"))
        assert verdict.denied is None
        clock.now += 1
    assert await wait(store, "a") == WINDOW_MS


async def test_what_is_recorded_can_be_settled(clock):
    store = small(clock)
    clock.now = WINDOW
    tokens, turn = demand("a", 100, Kind.QUANTITY, cost=20), demand("a", 1, Kind.LEASE, lease="x")
    for one in (tokens, turn):
        verdict = store.record(one, WINDOW // 2)
        assert verdict.at == WINDOW // 2
        await store.settle(one, verdict, 0)
    assert await left(store, "a", 100, Kind.QUANTITY) == 20
    assert await left(store, "a", 1, Kind.LEASE) == 1


async def test_nothing_is_recorded_of_the_future(clock):
    store = small(clock)
    assert store.record(demand("a"), 5 * WINDOW).at == 0


async def test_it_says_what_still_counts(clock):
    store = small(clock)
    for kind in Kind:
        await store.decide(demand("a", 10, kind, lease="x", cost=2 if kind is Kind.QUANTITY else 1))
    clock.now += WINDOW // 10
    await store.decide(demand("a", 10, lease="x"))
    told = {live.rule.kind: live for live in store.recent()}
    assert {(live.tag, live.subject, live.rule.limit) for live in told.values()} == {("a", "a", 10)}
    assert told[Kind.COUNT].ages == (WINDOW // 10, 0)
    assert told[Kind.QUANTITY].ahead == -(-2 * WINDOW // 9) - WINDOW // 10
    assert told[Kind.LEASE].leases == (("x", WINDOW * 9 // 10),)
    clock.now += WINDOW
    assert list(store.recent()) == []


async def test_deciding_goes_on_while_it_is_told(clock):
    store = small(clock)
    for name in "abc":
        await store.decide(demand(name, kind=Kind.LEASE, lease="x"))
    told = store.recent()
    assert next(told).subject == "a"
    await store.settle(demand("b", kind=Kind.LEASE, lease="x"), Verdict(standings=(), at=0, store=""), 0)
    await store.decide(demand("d"))
    assert [live.subject for live in told] == ["c"]


STEPS = st.lists(
    st.tuples(
        st.one_of(st.sampled_from([0, 1, WINDOW - 1, WINDOW]), st.integers(0, WINDOW)),
        st.sampled_from("abcde"),
        st.integers(1, 4),
        st.sampled_from(list(Kind)),
    ),
    max_size=120,
)


@given(steps=STEPS, max_keys=st.integers(0, 4), buckets=st.integers(1, 3))
async def test_no_subject_is_ever_admitted_beyond_its_limit_however_crowded_it_is(steps, max_keys, buckets):
    clock = Clock()
    store, times = small(clock, max_keys, buckets), {}
    for number, (pause, name, limit, kind) in enumerate(steps):
        clock.now += pause
        mine = times.setdefault((name, kind), [])
        live = [time for time in mine if time > clock.now - WINDOW]
        if await admits(store, name, limit, kind, lease=f"{number}"):
            assert len(live) < limit
            mine.append(clock.now)
        assert len(store) <= max_keys + 3 * 3 * buckets


@given(steps=STEPS, max_keys=st.integers(0, 2))
async def test_leases_given_back_in_a_crowd_free_nobody_else(steps, max_keys):
    clock = Clock()
    store, held = small(clock, max_keys, 1), {}
    for number, (pause, name, limit, kind) in enumerate(steps):
        clock.now += pause // 8
        if kind is Kind.COUNT and held.get(name):
            verdict, one, _ = held[name].pop(0)
            await store.settle(one, verdict, 0)
        else:
            one = demand(name, limit, Kind.LEASE, lease=f"{number}")
            verdict = await store.decide(one)
            mine = [each for each in held.setdefault(name, []) if each[2] > clock.now - WINDOW]
            if verdict.denied is None:
                assert len(mine) < limit
                held[name].append((verdict, one, clock.now))
