from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.limits.demand import Kind, Part, Rule
from service.limits.quantities import MOST_OPEN, NUMBERS, Flow, scale_of
from service.limits.state import Moment

MS = 1_000_000
RULE = Rule(name="tokens", kind=Kind.QUANTITY, limit=50, window_ms=41)
"""10 at once, and one each millisecond."""


def part(cost: int, rule: Rule = RULE) -> Part:
    return Part(rule=rule, subject="a", cost=cost)


def arrival(flow: Flow) -> Fraction:
    scale = scale_of(flow.rule.limit, flow.rule.window_ms)
    return Fraction(scale.time((flow.since, flow.owed)), scale.steady)


def by_definition(charges: Sequence[tuple[int, int]], rule: Rule = RULE) -> Fraction:
    scale, reached = scale_of(rule.limit, rule.window_ms), Fraction(0)
    for at, cost in charges:
        reached = max(reached, at) + Fraction(cost * scale.window, scale.steady)
    return reached


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 6, 9, 10, 49, 1_000, 999_983])
def test_whatever_the_limit_a_window_holds_the_burst_and_at_least_four_fifths(limit):
    scale = scale_of(limit, 60_000)
    assert scale.burst == max(1, limit // 5)
    assert scale.burst + scale.steady == limit + 1
    assert scale.steady >= 0.8 * limit


def test_a_burst_may_be_asked_for_token_by_token():
    rule = Rule(name="tokens", kind=Kind.QUANTITY, limit=999_983, window_ms=60_000)
    flow = Flow(rule)
    for number in range(999_983 // 5):
        assert flow.wait(part(1, rule), Moment(7, "")) == 0
        flow.take(part(1, rule), Moment(7, ""))
        if number < 5:
            assert flow.stand(rule, 7, 0).remaining == 999_983 // 5 - number - 1
    assert flow.wait(part(1, rule), Moment(7, "")) > 0


def test_more_than_the_burst_never_fits():
    assert Flow(RULE).wait(part(10), Moment(0, "")) == 0
    assert Flow(RULE).wait(part(11), Moment(0, "")) is None


def test_it_is_idle_when_all_is_paid_for():
    flow = Flow(RULE)
    flow.take(part(3), Moment(100, ""))
    assert not flow.is_idle(100 + 3 * MS - 1)
    assert flow.is_idle(100 + 3 * MS)


def test_what_is_given_back_is_not_given_to_demands_that_never_relied_on_it():
    """To subtract the 10 would leave 8 tokens, all paid for by now: 10 more at once, 18 in no time."""
    flow = Flow(RULE)
    flow.take(part(10), Moment(0, ""))
    flow.take(part(8), Moment(9_900_000, ""))
    flow.settle(part(10), 0, 0, 9_950_000)
    assert arrival(flow) == 9_900_000 + 8 * MS
    assert flow.wait(part(10), Moment(9_950_000, "")) == 7_950_000


def test_settling_twice_is_settling_once():
    flow = Flow(RULE)
    for cost in (2, 3):
        flow.take(part(cost), Moment(5, ""))
    for _ in range(2):
        flow.settle(part(2), 5, 1, 6)
    assert arrival(flow) == 5 + 4 * MS


def test_what_was_spent_in_excess_is_charged():
    flow = Flow(RULE)
    flow.take(part(2), Moment(5, ""))
    flow.settle(part(2), 5, 7, 6)
    assert arrival(flow) == 5 + 7 * MS
    # of one that is not known any more, from now on
    flow.settle(part(2), 4, 3, 6)
    assert arrival(flow) == 5 + 8 * MS
    flow.settle(part(2), 4, 3, 100 * MS)
    assert arrival(flow) == 101 * MS


def test_a_number_that_makes_no_sense_is_no_fault():
    flow = Flow(RULE)
    for at in range(100):
        flow.take(part(1), Moment(at, ""))
        flow.settle(part(1), at, 10**30, at)
    assert flow.wait(part(1), Moment(10**15, "")) > 0


def test_a_window_later_nothing_is_open():
    flow, charges = Flow(RULE), [(at, 6) for at in range(0, 60 * MS, 5 * MS)]
    for at, cost in charges:
        flow.take(part(cost), Moment(at, ""))
    flow.settle(part(6), 0, 0, 60 * MS)
    assert arrival(flow) == by_definition(charges)


def test_few_are_open_at_a_time():
    flow = Flow(RULE)
    for at in range(1_000):
        flow.take(part(1), Moment(at, ""))
    assert len(flow.open) == MOST_OPEN * NUMBERS
    assert arrival(flow) == by_definition([(at, 1) for at in range(1_000)])


STEPS = st.lists(
    st.tuples(
        st.one_of(st.sampled_from([0, 1, MS, 10 * MS]), st.integers(0, 12 * MS)),
        st.integers(0, 10),
        st.one_of(st.none(), st.tuples(st.integers(0, 5), st.integers(0, 14))),
    ),
    max_size=30,
)
"""A pause, a cost, and which open demand is settled to what."""


@given(steps=STEPS)
@example(steps=[(0, 10, None), (9_900_000, 8, None), (50_000, 1, (0, 0))])
@example(steps=[(0, 10, None), (MS, 1, None), (8_900_000, 8, (2, 8)), (50_000, 1, (0, 0))])
def test_after_settling_all_is_as_if_the_demand_had_been_for_what_was_spent(steps):
    flow, now, charges, unsettled = Flow(RULE), 0, [], []
    for pause, cost, settled in steps:
        now += pause
        flow.take(part(cost), Moment(now, ""))
        charges.append((now, cost))
        unsettled.append(len(charges) - 1)
        unsettled = [each for each in unsettled if charges[each][0] > now - 41 * MS]
        if settled and settled[0] < len(unsettled):
            number = unsettled.pop(settled[0])
            at, asked = charges[number]
            charges[number] = (at, min(settled[1], asked))
            flow.settle(part(asked), *charges[number], now)
        assert max(now, arrival(flow)) == max(now, by_definition(charges))


@given(several=st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 99)), min_size=1, max_size=4))
def test_the_least_is_paid_for_soonest_and_what_covers_another_no_sooner(several):
    flows = [Flow(RULE, since=since, owed=owed) for since, owed in several]
    assert arrival(Flow.least(flows, RULE, 0)) == min(map(arrival, flows))
    covering = Flow(RULE, since=5 * 10**8, owed=50)
    latest = max(arrival(covering), *map(arrival, flows))
    for flow in flows:
        covering.cover(flow)
    assert arrival(covering) == latest
