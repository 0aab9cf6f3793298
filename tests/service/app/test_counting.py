"""What a store in memory is told by the database, before the start and while the service runs."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from config.settings import Limits
from service.app.counting import Counting
from service.audit import allowances
from service.audit.deed import Doer
from service.errors import DatabaseError
from service.limits import Gate, MemoryStore, Rules
from service.limits.demand import Kind
from service.limits.own import only
from service.store.database import open_database
from service.store.resets import Reset
from telemetry.record import Caller
from telemetry.recorder import microseconds
from telemetry.timestamp import timestamp
from tests.service.store.rows import Row

ANN = Caller(user_id="ann", role="GUEST", method="", credential_id="", pseudonym="of ann")
LIMITS = Limits(roles={"GUEST": 10}, models={"model-1": 7})


class Audited:
    """An audit whose dead processes' rows are in the log once `there` is set."""

    writer = "own"

    def __init__(self):
        self.there = asyncio.Event()

    async def inherited(self):
        await self.there.wait()


class Stand:
    """A gate over a database, and what a caller has left by it."""

    def __init__(self, database, limits=LIMITS):
        self.database, self.audited, self.store = database, Audited(), MemoryStore()
        self.gate = Gate(self.store, Rules(limits, 1_000), None, microseconds)
        self.counting = Counting(
            self.gate, self.store, database, self.audited, lambda user: f"of {user}", 1_000
        )

    async def left(self):
        demand = only(self.gate.rules.of_turn(ANN, "", "model-1", 1), Kind.COUNT)
        return [each.remaining for each in (await self.store.peek(demand)).standings]


@pytest.fixture
async def database(database_url):
    opened = await open_database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def rooms():
    async with AsyncExitStack() as rooms:
        yield rooms


async def admit(database, number, **facts):
    now = microseconds()
    told = f'{{"rateLimit":{{"decision":"allowed","policy":"role","decidedAt":"{timestamp(now)}"}}}}'
    known = {"actor_id": "ann", "role": "GUEST", "metadata": told, "created_at": now, "writer": "dead"}
    await database.audit.append([Row(id=f"turn-{number}", writer_seq=number, **known | facts)])


async def until(condition):
    for _ in range(1_000):
        if await condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never was so")


async def forget(database, number, at):
    reset = Reset(id=f"reset-{number}", user_id="ann", role="GUEST", tenant=None, at=at)
    await database.resets.tell(reset, None)


async def test_what_is_in_the_log_counts_before_the_start_is_over(database, rooms):
    stand = Stand(database)
    await admit(database, 1)
    stand.audited.there.set()
    await stand.counting.start(rooms)
    assert await stand.left() == [9, 6]


async def test_what_comes_in_late_is_counted_once_and_what_this_process_recorded_is_not(database, rooms):
    stand = Stand(database)
    await admit(database, 1)
    await stand.counting.start(rooms, patience=0.05)
    assert await stand.left() == [9, 6]
    await admit(database, 2)
    await admit(database, 3, writer="own")
    stand.audited.there.set()

    async def counted():
        return await stand.left() == [8, 5]

    await until(counted)
    await asyncio.sleep(0.1)
    assert await stand.left() == [8, 5]


async def test_with_the_mode_off_nothing_is_counted(database, rooms):
    stand = Stand(database, Limits(mode="off"))
    await admit(database, 1)
    stand.audited.there.set()
    await stand.counting.start(rooms)
    assert len(stand.store) == 0


async def test_a_reset_is_heard_once(database):
    stand = Stand(database)
    await stand.gate.store.decide(stand.gate.rules.of_turn(ANN, "a", "model-1", 1))
    await forget(database, 1, microseconds())
    assert await stand.left() == [9, 6]
    await stand.counting.look()
    assert await stand.left() == [10, 7]
    await stand.gate.store.decide(stand.gate.rules.of_turn(ANN, "b", "model-1", 1))
    await stand.counting.look()
    assert await stand.left() == [9, 6]
    # told by a clock that is behind
    await forget(database, 2, microseconds() - 60_000_000)
    await stand.counting.look()
    assert await stand.left() == [10, 7]


async def test_a_reset_from_before_the_start_holds_and_is_not_heard_again(database, rooms):
    stand = Stand(database)
    await admit(database, 1)
    at = microseconds() + 2_000
    row = allowances.reset(Doer(caller=None, request_id="r", trace_id=None, at=at), "of ann", "GUEST")
    reset = Reset(id="reset-1", user_id="ann", role="GUEST", tenant=None, at=at)
    await database.resets.tell(reset, row)
    await asyncio.sleep(0.01)
    await admit(database, 2)
    stand.audited.there.set()
    await stand.counting.start(rooms)
    assert await stand.left() == [9, 6]
    await stand.counting.look()
    assert await stand.left() == [9, 6]


async def test_while_the_database_is_away_it_is_asked_again(database, rooms):
    stand = Stand(database)
    stand.audited.there.set()
    await stand.counting.start(rooms)
    await database.close()
    with pytest.raises(DatabaseError):
        await stand.counting.look()
    (watching,) = [task for task in asyncio.all_tasks() if task.get_name() == "limit resets"]
    await asyncio.sleep(1.2)
    assert not watching.done()
