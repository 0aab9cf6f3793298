"""Pieces of work that overlap: their order, and that none is left behind."""

import asyncio

import pytest

from service.audit.convoy import Convoy


class Road:
    """Work that waits to be let on, and what became of it."""

    def __init__(self) -> None:
        self.gates = [asyncio.Event() for _ in range(4)]
        self.seen: list[str] = []

    async def sees(self, what: str) -> None:
        while what not in self.seen:  # noqa: ASYNC110 - a few turns of the loop
            await asyncio.sleep(0)

    async def drive(self, number: int, error: Exception | None = None) -> None:
        self.seen.append(f"begun {number}")
        try:
            await self.gates[number].wait()
        except asyncio.CancelledError:
            self.seen.append(f"called off {number}")
            raise
        if error:
            raise error
        self.seen.append(f"done {number}")

    async def pay(self, number: int) -> None:
        self.seen.append(f"paid {number}")


@pytest.fixture
def road():
    return Road()


async def test_the_next_begins_while_one_is_under_way_and_each_is_followed_in_order(road):
    async with Convoy(ahead=1) as convoy:
        await convoy.send(road.drive(0), lambda: road.pay(0))
        road.gates[1].set()  # the second is done first, and is followed second
        second = asyncio.create_task(convoy.send(road.drive(1), lambda: road.pay(1)))
        await road.sees("done 1")
        assert not second.done()
        assert "paid 1" not in road.seen
        road.gates[0].set()
        await second
    assert road.seen == ["begun 0", "begun 1", "done 1", "done 0", "paid 0", "paid 1"]


async def test_without_overlap_one_is_over_before_the_next_begins(road):
    for gate in road.gates:
        gate.set()
    async with Convoy(ahead=0) as convoy:
        for number in range(3):
            await convoy.send(road.drive(number), lambda number=number: road.pay(number))
    assert road.seen == [f"{what} {number}" for number in range(3) for what in ("begun", "done", "paid")]


async def test_one_that_fails_calls_off_those_after_it_and_nothing_follows(road):
    async def travel() -> None:
        async with Convoy(ahead=2) as convoy:
            await convoy.send(road.drive(0, LookupError("lost")), lambda: road.pay(0))
            await convoy.send(road.drive(1), lambda: road.pay(1))
            await road.sees("begun 1")

    road.gates[0].set()
    with pytest.raises(LookupError, match="lost"):
        await travel()
    assert road.seen == ["begun 0", "begun 1", "called off 1"]


async def test_whoever_is_called_off_leaves_no_work_behind(road):
    async def travel() -> None:
        async with Convoy(ahead=1) as convoy:
            await convoy.send(road.drive(0), lambda: road.pay(0))
            await convoy.send(road.drive(1), lambda: road.pay(1))

    travelling = asyncio.create_task(travel())
    await road.sees("begun 1")
    travelling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await travelling
    assert sorted(road.seen[2:]) == ["called off 0", "called off 1"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_what_follows_may_fail_too(road):
    async def pay() -> None:
        raise OSError("no coin")

    road.gates[0].set()
    with pytest.raises(OSError, match="no coin"):
        async with Convoy(ahead=0) as convoy:
            await convoy.send(road.drive(0), pay)
