from service.limits.demand import Kind, Part, Rule
from service.limits.leases import Holders
from service.limits.state import Moment

MS = 1_000_000
RULE = Rule(name="concurrency", kind=Kind.LEASE, limit=2, window_ms=1)
PART = Part(rule=RULE, subject="a")


def held(*leases: tuple[str, int]) -> Holders:
    holders = Holders(RULE)
    for lease, at in leases:
        holders.take(PART, Moment(at, lease))
    return holders


def test_a_lease_ends_with_its_window_to_the_nanosecond():
    holders = held(("x", 5), ("y", 7))
    assert holders.wait(PART, Moment(5 + MS - 1, "z")) == 1
    assert holders.wait(PART, Moment(5 + MS, "z")) == 0
    assert list(holders.leases) == ["y"]


def test_whoever_holds_it_is_not_in_its_own_way_and_holds_it_longer():
    holders = held(("x", 5), ("y", 7))
    assert holders.wait(PART, Moment(8, "x")) == 0
    holders.take(PART, Moment(8, "x"))
    assert holders.leases == {"y": 7 + MS, "x": 8 + MS}


def test_what_was_given_back_is_free():
    holders = held(("x", 5), ("y", 7))
    holders.drop("x")
    holders.drop("x")
    assert holders.wait(PART, Moment(8, "z")) == 0
    assert not holders.is_idle(8)
    holders.drop("y")
    assert holders.is_idle(8)


def test_after_a_limit_was_lowered_the_wait_is_for_as_many_to_end_as_it_takes():
    holders = held(("x", 5), ("y", 7), ("z", 9))
    assert holders.wait(PART, Moment(10, "new")) == 7 + MS - 10
    standing = holders.stand(RULE, 10, 7 + MS - 10)
    assert (standing.remaining, standing.reset_ms, standing.wait_ms) == (0, 1, 1)


def test_after_a_window_was_shortened_leases_end_in_the_order_in_which_they_were_taken():
    long = Part(rule=Rule(name="concurrency", kind=Kind.LEASE, limit=2, window_ms=5), subject="a")
    holders = Holders(RULE)
    holders.take(long, Moment(0, "x"))
    holders.take(PART, Moment(1, "y"))
    assert list(holders.leases.values()) == [5 * MS, 5 * MS]


def test_the_least_is_a_state_of_its_own():
    fewer, more = held(("x", 5)), held(("y", 5), ("z", 6))
    least = Holders.least([more, fewer], RULE, 7)
    least.take(PART, Moment(8, "new"))
    assert (list(least.leases), list(fewer.leases)) == (["x", "new"], ["x"])
    more.cover(least)
    assert list(more.leases) == ["y", "z", "new"]


def test_ones_own_are_known_by_how_their_names_begin():
    shared = Holders(RULE, leases={"me:x": 5, "you:x": 6}, whose="me:")
    assert shared.wait(PART, Moment(0, "x")) == 0
    assert shared.wait(PART, Moment(0, "y")) == 5
    shared.take(PART, Moment(1, "y"))
    assert shared.only_own().leases == {"x": 5, "y": 1 + MS}
