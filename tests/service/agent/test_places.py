"""Places for turns: how many there are, who waits for one, who is next, and who is turned away."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.agent import places
from service.agent.places import Places
from service.errors import Overloaded


class Crowd:
    """Callers in places; `seated` is who has come in so far, in order, `away` who was turned away."""

    def __init__(self, count, patience=30.0):
        self.places = Places(count, patience)
        self.seated, self.away = [], []
        self.tasks, self.leaving = {}, {}

    async def come(self, *names):
        for name in names:
            self.leaving[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._sit(name))
            await settle()

    async def go(self, *names):
        for name in names:
            self.leaving[name].set()
            await settle()

    async def _sit(self, name):
        try:
            await self.places.take(name[0])
        except Overloaded:
            self.away.append(name)
            return
        try:
            self.seated.append(name)
            await self.leaving[name].wait()
        finally:
            self.places.leave(name[0])

    async def empty(self):
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        assert (self.places.taken, self.places.waiting) == (0, 0)
        assert (self.places._held, self.places._lines) == ({}, {})


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def crowd():
    crowds = []

    def make(count, patience=30.0):
        crowds.append(Crowd(count, patience))
        return crowds[-1]

    yield make
    for each in crowds:
        await each.empty()


async def test_as_many_as_there_are_places_are_under_way(crowd):
    one = crowd(2)
    await one.come("a1", "b1", "a2", "b2")
    assert one.seated == ["a1", "b1"]
    await one.go("a1")
    assert one.seated == ["a1", "b1", "a2"]
    assert (one.places.taken, one.places.waiting, one.away) == (2, 1, [])


async def test_whoever_has_the_fewest_is_next(crowd):
    one = crowd(3)
    await one.come("a1", "a2", "a3", "a4", "a5", "b1")
    await one.go("a1")
    assert one.seated[-1] == "b1"
    await one.go("a2")
    assert one.seated[-1] == "a4"


async def test_of_those_who_have_as_many_it_goes_round(crowd):
    one = crowd(6)
    await one.come("x1", "x2", "x3", "x4", "x5", "x6", "a1", "a2", "b1", "b2", "c1", "c2")
    await one.go("x1", "x2", "x3", "x4", "x5", "x6")
    assert one.seated[6:] == ["a1", "b1", "c1", "a2", "b2", "c2"]


async def test_a_full_queue_refuses_at_once(crowd):
    one = crowd(2)
    await one.come("a1", "a2", "b1", "c1")
    assert not one.away
    assert one.places.full_for("d")
    await one.come("d1")
    assert one.away == ["d1"]
    assert (one.places.taken, one.places.waiting) == (2, 2)


async def test_a_flood_makes_way_for_somebody_else_and_not_for_its_own(crowd):
    one = crowd(3)
    await one.come("a1", "a2", "a3", "a4", "a5", "a6")
    assert one.places.full_for("a")
    await one.come("a7")
    assert one.away == ["a7"]
    assert not one.places.full_for("b")
    await one.come("b1")
    assert one.away == ["a7", "a6"]
    await one.go("a1")
    assert one.seated[-1] == "b1"
    assert one.places.waiting == 2


async def test_nobody_waits_longer_than_that(crowd):
    one = crowd(1, patience=0.01)
    await one.come("a1", "b1")
    await asyncio.wait((one.tasks["b1"],))
    assert (one.away, one.places.waiting) == (["b1"], 0)
    await one.go("a1")
    await one.come("c1")
    assert one.seated == ["a1", "c1"]


async def test_one_who_leaves_while_waiting_leaves_the_place_to_others(crowd):
    one = crowd(1)
    await one.come("a1", "b1")
    one.tasks["b1"].cancel()
    await settle()
    assert one.places.waiting == 0
    await one.come("c1")
    await one.go("a1")
    assert one.seated == ["a1", "c1"]


async def test_one_who_leaves_at_the_moment_the_place_is_theirs_hands_it_on(crowd):
    one = crowd(1)
    await one.come("a1", "b1")
    one.places._hand_over("b")  # as a place that is given back just now
    one.tasks["b1"].cancel()
    await settle()
    assert one.places.taken == 1
    await one.come("c1")
    await one.go("a1")
    assert one.seated == ["a1", "c1"]


async def test_one_who_leaves_at_the_moment_of_being_turned_out_leaves_nothing(crowd):
    one = crowd(2)
    await one.come("a1", "a2", "a3", "a4")
    one.places._turn_out("a")
    one.tasks["a4"].cancel()
    await settle()
    assert (one.places.taken, one.places.waiting) == (2, 1)


def test_those_turned_away_together_do_not_return_together():
    waits = {places.turned_away().retry_after_ms for _ in range(100)}
    assert len(waits) > 10
    assert min(waits) >= 1_000
    assert max(waits) <= 3_000


COMINGS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["come", "go", "cancel"])), max_size=60)


@given(count=st.integers(1, 4), comings=COMINGS)
def test_no_place_is_lost_or_given_twice(count, comings):
    asyncio.run(_wander(count, comings))


async def _wander(count, comings):
    one = Crowd(count)
    for number, (name, what) in enumerate(comings):
        if what == "come":
            await one.come(f"{name}{number}")
        elif here := [each for each, task in one.tasks.items() if each[0] == name and not task.done()]:
            one.leaving[here[0]].set() if what == "go" else one.tasks[here[-1]].cancel()
            await settle()
        under_way = [each for each in one.seated if not one.tasks[each].done()]
        assert one.places.taken == len(under_way) <= count
        assert one.places.waiting <= count
        assert not one.places.waiting or one.places.taken == count
    with suppress(asyncio.CancelledError):
        await one.empty()
