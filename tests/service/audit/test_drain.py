"""A dead writer's backlog over a store that takes the next rows while it writes some."""

import asyncio

import pytest
from msgspec import structs

from service.audit import entries
from service.audit.drain import BACKLOG, SLICE, Drain
from service.audit.journal import Journal
from service.audit.ledger import Ledger, Waiting
from service.audit.row import row_of
from service.errors import DatabaseError
from tests.harness.records import an_opening, answered
from tests.service.audit.stores import LOG_ID, Store

KEY = b"k" * 32
ROWS = 2 * BACKLOG + BACKLOG // 2


class Server(Store):
    """The store as a server: `running` appends at once, `most` of them ever; the second lets the first on."""

    overlaps = True

    def __init__(self, failures: float = 0) -> None:
        super().__init__(failures)
        self.running = self.most = 0
        self.sequencer = asyncio.Lock()

    async def append(self, rows) -> frozenset[str]:
        self.running += 1
        self.most = max(self.most, self.running)
        if self.running > 1:
            self.open.set()
        try:
            async with self.sequencer:
                return await super().append(rows)
        finally:
            self.running -= 1


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def drain(server):
    return Drain(server, Ledger(Waiting), lambda _record: None)


async def left_by_a_dead_writer(folder) -> list[str]:
    """Write a journal in many segments; gives the ids in their order."""
    journal = Journal.open(folder, KEY, LOG_ID, segment_bytes=64 << 10)
    row, ids = row_of(answered(opening=an_opening())), [f"turn-{number:05}" for number in range(ROWS)]
    for number, turn_id in enumerate(ids, 1):
        each = structs.replace(row, id=turn_id, writer_seq=number, writer_low=number + 1)
        assert journal.settle(turn_id, entries.encode(each))
        if number % 500 == 0:
            await journal.synced()
    await journal.close()
    return ids


async def test_each_row_comes_once_and_in_order_and_the_folder_goes(folder, server, drain):
    ids = await left_by_a_dead_writer(folder)
    server.open.clear()  # without any overlap nobody would open it
    await drain.inherit(folder, [KEY], LOG_ID)
    assert server.ids == ids
    assert server.most == 2
    assert all(len(batch) < BACKLOG + SLICE for batch in server.batches)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("place", [0, BACKLOG - 1, BACKLOG, ROWS - 1])
async def test_a_row_that_is_refused_is_put_aside_and_all_others_come(folder, server, drain, place):
    ids = await left_by_a_dead_writer(folder)
    server.poison = {ids[place]}
    await drain.inherit(folder, [KEY], LOG_ID)
    assert sorted(server.ids) == [*ids[:place], *ids[place + 1 :]]
    assert server.aside == [ids[place]]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("failures", [1, 2, 3])
async def test_a_database_that_goes_away_costs_no_row(folder, server, drain, failures):
    ids = await left_by_a_dead_writer(folder)
    server.failures = failures
    with pytest.raises(DatabaseError):
        await drain.inherit(folder, [KEY], LOG_ID)
    assert server.running == 0
    while server.failures:
        with pytest.raises(DatabaseError):
            await drain.inherit(folder, [KEY], LOG_ID)
    await drain.inherit(folder, [KEY], LOG_ID)
    assert sorted(server.ids) == ids
    assert list(folder.iterdir()) == []
