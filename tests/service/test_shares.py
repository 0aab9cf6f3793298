"""A loop's time is shared by rounds, told by a clock that moves only when somebody works."""

import asyncio

from service.shares import FEWEST, Shares


class House:
    """So many workers on one loop; what each round of it did."""

    def __init__(self, each=lambda _: 1.0, slice_=5.0):
        self.now, self._each = 0.0, each
        self.shares = Shares(slice_, lambda: self.now)
        self.rounds, self.order = [0], []

    async def work(self, name):
        await self.shares.turn()
        self.now += self._each(name)
        self.rounds[-1] += 1
        self.order.append(name)

    async def all(self, number):
        tasks = [asyncio.create_task(self.work(name)) for name in range(number)]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            self.rounds.append(0)


async def test_few_go_on_at_once():
    house = House()
    await house.all(5)
    assert [each for each in house.rounds if each] == [5]


async def test_of_many_each_round_has_its_share_and_all_come_in_their_order():
    house = House()
    await house.all(200)
    assert house.order == [*range(200)]
    done = [each for each in house.rounds if each]
    assert len(done) > 10
    assert max(done) <= 2 * FEWEST


async def test_who_comes_while_others_wait_comes_after_them():
    house = House()
    early = [asyncio.create_task(house.work(name)) for name in range(60)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # a new round has begun, which has time left
    late = asyncio.create_task(house.work("late"))
    await asyncio.wait([*early, late], timeout=30)
    assert house.order == [*range(60), "late"]


async def test_where_work_is_short_rounds_become_larger():
    house = House(each=lambda name: 0.01 if name else 100.0)
    await house.all(1_000)
    assert house.order == [*range(1_000)]
    assert max(house.rounds) > 10 * FEWEST


async def test_who_is_cancelled_holds_up_nobody():
    house = House()
    tasks = [asyncio.create_task(house.work(name)) for name in range(40)]
    await asyncio.sleep(0)
    for task in tasks[10:20]:
        task.cancel()
    await asyncio.wait(tasks, timeout=30)
    assert set(house.order) == {*range(40)} - {*range(10, 20)}
