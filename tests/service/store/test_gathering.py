import asyncio

import pytest

from service.errors import DatabaseError, RowRefused
from service.store import gathering
from service.store.gathering import Gathering
from tests.harness.waiting import PATIENCE


class Work:
    """Doubles numbers; an odd one's error is its own, and `away` is everybody's."""

    def __init__(self):
        self.done, self.ended, self.gate, self.away = [], 0, asyncio.Event(), False
        self.gate.set()

    async def __call__(self, numbers):
        self.done.append(list(numbers))
        try:
            await self.gate.wait()
        finally:
            self.ended += 1
        if self.away:
            raise DatabaseError("away")
        return [RowRefused("odd") if number % 2 else 2 * number for number in numbers]


async def test_who_comes_alone_waits_for_nobody():
    work = Work()
    gathered = Gathering(work)
    assert [await gathered.do(number) for number in (2, 4, 6)] == [4, 8, 12]
    assert work.done == [[2], [4], [6]]


async def until(so):
    async with asyncio.timeout(PATIENCE):
        while not so():  # noqa: ASYNC110 - it has no event of its own
            await asyncio.sleep(0)


async def begun(gathered, work, numbers):
    """Tasks for numbers, the first of which is under way, and the others wait."""
    work.gate.clear()
    tasks = [asyncio.create_task(gathered.do(number)) for number in numbers]
    await asyncio.sleep(0)
    return tasks


async def test_who_comes_meanwhile_goes_together():
    work = Work()
    tasks = await begun(Gathering(work), work, range(0, 20, 2))
    work.gate.set()
    assert await asyncio.gather(*tasks) == [*range(0, 40, 4)]
    assert work.done == [[0], [*range(2, 20, 2)]]


async def test_no_more_than_so_many_go_together():
    work = Work()
    tasks = await begun(Gathering(work), work, range(0, 4 * gathering.MOST, 2))
    work.gate.set()
    await asyncio.gather(*tasks)
    assert [len(each) for each in work.done] == [1, gathering.MOST, gathering.MOST - 1]


async def test_who_can_wait_goes_with_whoever_comes_until_then():
    work = Work()
    gathered = Gathering(work)
    first = asyncio.create_task(gathered.do(2, 0.5))
    others = []
    for number in (4, 6):
        await asyncio.sleep(0)
        others.append(asyncio.create_task(gathered.do(number, 0.5)))
    assert await asyncio.gather(first, *others) == [4, 8, 12]
    assert work.done == [[2, 4, 6]]
    assert await gathered.do(8) == 16, "the next one is in a hurry"
    assert work.done[1:] == [[8]]


async def test_an_error_of_one_s_own_is_told_to_no_other():
    work = Work()
    tasks = await begun(Gathering(work), work, [1, 2, 3, 4])
    work.gate.set()
    first, second, third, fourth = await asyncio.gather(*tasks, return_exceptions=True)
    assert (second, fourth) == (4, 8)
    assert isinstance(first, RowRefused)
    assert isinstance(third, RowRefused)


async def test_what_work_raises_everybody_is_told_and_the_next_go_on():
    work = Work()
    gathered = Gathering(work)
    tasks = await begun(gathered, work, [2, 4, 6])
    work.away = True
    work.gate.set()
    for task in tasks:
        with pytest.raises(DatabaseError):
            await task
    work.away = False
    assert await gathered.do(8) == 16


async def test_who_is_cancelled_holds_up_nobody():
    work = Work()
    first, second, third = await begun(Gathering(work), work, [2, 4, 6])
    first.cancel()
    second.cancel()
    await asyncio.sleep(0)
    work.gate.set()
    assert await third == 12
    assert work.done == [[2], [6]]


async def test_work_that_nobody_waits_for_ends_and_the_next_go_on():
    work = Work()
    gathered = Gathering(work)
    (first,) = await begun(gathered, work, [2])
    second, third = (asyncio.create_task(gathered.do(number)) for number in (4, 6))
    await asyncio.sleep(0)
    work.gate.set()
    await first
    work.gate.clear()
    await until(lambda: len(work.done) == 2)
    second.cancel()
    await asyncio.wait((second,))
    await asyncio.sleep(0)
    assert work.ended == 1, "the third waits for it"
    third.cancel()
    await until(lambda: work.ended == 2)
    work.gate.set()
    assert await gathered.do(8) == 16
    assert work.done == [[2], [4, 6], [8]]
