"""Percentiles of a baseline, the numbers proposed, and whom limits would have refused."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from config.settings import Budgets, Limits
from service.limits.need import Need
from service.limits.sizes import DAY, Daily, Sliding, coarse, percentile, step
from service.limits.suggest import Survey, propose
from service.limits.trial import Trial

SECOND = 1_000_000
START = 20_000 * DAY
LIMITS = Limits(roles={"CFO": 100, "GUEST": 10})


class Turn(Struct, frozen=True, kw_only=True):
    at: int
    user_id: str | None = "ann"
    subject: str = "s"
    role: str = "GUEST"
    tokens: int = 0
    cost_micros: int = 0
    count: int = 1
    model: str | None = None
    lasts: int = 1

    @property
    def ended_at(self):
        return self.at + self.lasts


def exactly(turn):
    """A turn is let in by what it took."""
    return Need(model="", tokens=turn.tokens, cost_micros=0, least_micros=turn.cost_micros)


def generously(turn):
    """A turn is let in by a hundred tokens and micro-dollars more than it took."""
    return Need(model="", tokens=turn.tokens + 100, cost_micros=0, least_micros=turn.cost_micros + 100)


def at(seconds, **facts):
    return Turn(at=START + round(seconds * SECOND), **facts)


def surveyed(turns, without=(), weigh=exactly):
    survey = Survey(60_000, weigh, without)
    survey.take(turns)
    return survey.end()


async def tried(turns, limits, weigh=exactly):
    trial = Trial(limits, weigh)
    await trial.take(turns)
    return trial


def test_steps_are_1_2_5():
    assert [step(n) for n in (0, 1, 2, 3, 5, 6, 10, 11, 21, 51, 101)] == [
        *(1, 1, 2, 5, 5, 10, 10, 20, 50, 100, 200)
    ]


@given(st.integers(1, 10**12))
def test_rounding_never_loses_and_keeps_two_digits(size):
    rounded = coarse(size)
    assert size <= rounded <= size + size // 10
    assert size >= 100 or rounded == size
    assert len(str(rounded).rstrip("0")) <= 2


@given(st.lists(st.integers(1, 99), min_size=1, max_size=200), st.integers(1, 100))
def test_a_percentile_is_the_nearest_rank(sizes, percent):
    counts = {size: sizes.count(size) for size in sizes}
    assert percentile(counts, percent) == sorted(sizes)[-(-len(sizes) * percent // 100) - 1]


@given(st.lists(st.tuples(st.integers(0, 500), st.sampled_from("ab"), st.integers(1, 3)), max_size=60))
def test_the_worst_sliding_window_of_each_slot_is_found(events):
    events.sort(key=lambda each: each[0])
    sliding, window = Sliding(60), 60
    for moment, user, amount in events:
        sliding.add(user, moment, amount)
    spread, expected = sliding.end().spread(), {}
    for moment, user, _ in events:
        size = sum(n for when, who, n in events if who == user and moment - window < when <= moment)
        slot = user, moment // window
        expected[slot] = max(expected.get(slot, 0), size)
    if not events:
        assert spread is None
        return
    # of several at one moment the last one sees them all
    assert (spread.max, spread.users) == (max(expected.values()), len({who for _, who, _ in events}))
    assert spread.p50 == percentile({n: [*expected.values()].count(n) for n in expected.values()}, 50)


def test_nothing_is_held_of_those_who_left():
    sliding = Sliding(60 * SECOND)
    for number in range(1_000):
        sliding.add(f"user-{number}", number * 30 * SECOND, 1)
        assert len(sliding._tracks) <= 2
    assert sliding.end().spread().users == 1_000


def test_days_are_those_of_utc():
    daily = Daily()
    for moment, micros in ((START + 1, 5), (START + DAY - 1, 7), (START + DAY, 11)):
        daily.add("ann", moment, micros)
    assert (daily.spent("ann", START + DAY + 5), daily.spent("ann", START + 2 * DAY)) == (11, 0)
    assert daily.end().spread().max == 12


def test_a_baseline_says_how_large_windows_are_by_role_and_who_was_the_busiest():
    quiet = [at(600 * number, user_id=f"user-{number % 9}") for number in range(99)]
    burst = [at(600 * 99 + number, user_id="eve") for number in range(17)]
    others = [at(600 * 99 + 20, role="CFO", count=3, user_id=None, subject="gone")]
    baseline = surveyed([*quiet, *burst, *others])
    guest, cfo = baseline.roles["GUEST"], baseline.roles["CFO"]
    assert (guest.users, guest.p50, guest.p95, guest.p99, guest.max) == (10, 1, 1, 1, 17)
    assert (guest.busiest, guest.whose) == (17, "eve")
    assert (cfo.max, cfo.whose) == (3, "gone")
    assert baseline.requests == {"GUEST": 116, "CFO": 3}
    assert (baseline.tokens, baseline.micros) == (None, None)
    assert propose(baseline, LIMITS).roles == {"CFO": 5, "GUEST": 20}


def test_somebody_may_be_left_out():
    turns = [at(0), *(at(1, user_id="eve") for _ in range(500))]
    assert propose(surveyed(turns), LIMITS).roles["GUEST"] == 500
    assert propose(surveyed(turns, {"eve"}), LIMITS).roles["GUEST"] == 1


def test_a_number_is_never_more_than_can_be_counted():
    assert propose(surveyed([at(0, count=30_000)]), LIMITS).roles["GUEST"] == 1_000


def test_one_turn_fits_into_the_burst_of_tokens_and_a_day_into_the_budget():
    turns = [at(60 * number, tokens=900, cost_micros=30_000) for number in range(10)]
    proposed = propose(surveyed(turns), LIMITS)
    assert (proposed.tokens_per_minute, proposed.budgets.user_day) == (5_000, 500_000)
    assert proposed.roles == {"CFO": 100, "GUEST": 1}


async def test_the_most_that_a_turn_may_ask_for_fits_into_what_is_proposed():
    turns = [at(60 * number, tokens=2, cost_micros=9_950) for number in range(10)]
    assert propose(surveyed(turns), LIMITS).tokens_per_minute == 10
    proposed = propose(surveyed(turns, weigh=generously), LIMITS)
    assert (proposed.tokens_per_minute, proposed.budgets.user_day) == (1_000, 200_000)
    assert (await tried(turns, proposed, generously)).refused == {}
    (_, refused), *_ = (await tried(turns, Limits(tokens_per_minute=100), generously)).refused.items()
    assert refused == 10


async def test_what_a_turn_did_not_take_is_given_back_at_its_end():
    limits = Limits(tokens_per_minute=600)
    one_by_one = [at(number, tokens=5) for number in range(9)]
    at_once = [at(0, tokens=5, lasts=9 * SECOND) for _ in range(9)]
    assert (await tried(one_by_one, limits, generously)).refused == {}
    assert (await tried(at_once, limits, generously)).refused == {("GUEST", "tokens"): 8}


def test_what_was_set_stays_where_there_is_nothing_to_go_by():
    limits = Limits(tokens_per_minute=77, budgets=Budgets(user_day=5))
    proposed = propose(surveyed([at(0)]), limits)
    assert (proposed.tokens_per_minute, proposed.budgets.user_day) == (77, 5)


@pytest.mark.parametrize(("limit", "refused"), [(10, 7), (17, 0), (1, 16)])
async def test_a_trial_refuses_as_the_store_would(limit, refused):
    turns = [at(number) for number in range(17)]
    trial = await tried(turns, Limits(roles={"GUEST": limit}))
    assert (trial.refused["GUEST", "role"], trial.turns) == (refused, 17)


async def test_refusals_cost_nothing_and_like_ones_are_all_refused():
    turns = [at(0, count=9), at(1, count=500), at(60, count=9), at(61)]
    trial = await tried(turns, Limits(roles={"GUEST": 10}))
    assert trial.refused == {("GUEST", "role"): 499}


async def test_money_and_tokens_are_tried_too():
    limits = Limits(tokens_per_minute=500, budgets=Budgets(user_day=100))
    turns = [
        at(0, tokens=101),
        at(1, tokens=100),
        at(2, tokens=50),
        at(3, cost_micros=60),
        at(4, cost_micros=60),
    ]
    trial = await tried(turns, limits)
    assert trial.refused == {("GUEST", "tokens"): 2, ("GUEST", "budget_user_day"): 1}
    trial = await tried([at(0, cost_micros=60), at(86_400, cost_micros=60)], limits)
    assert trial.refused == {}


async def test_what_is_proposed_would_have_refused_nobody_at_p99():
    chance = random.Random(5)  # noqa: S311 - the same traffic each time
    turns = [
        Turn(
            at=START + moment,
            user_id=f"user-{chance.randrange(30)}",
            role=chance.choice(("GUEST", "CFO")),
            cost_micros=chance.randrange(900),
        )
        for moment in sorted(chance.randrange(2 * DAY) for _ in range(20_000))
    ]
    baseline = surveyed(turns)
    trial = await tried(turns, propose(baseline, LIMITS))
    assert trial.turns == 20_000
    for role, spread in baseline.roles.items():
        assert trial.refused[role, "role"] * 100 <= baseline.requests[role]
        assert propose(baseline, LIMITS).roles[role] >= spread.p99
