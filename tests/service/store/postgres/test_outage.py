"""The server goes away and comes back: every wait ends, nothing confirmed is lost, nothing is there twice."""

import asyncio
import signal

import pytest

from service.errors import DatabaseAway, DatabaseError
from service.store.database import open_database
from tests.harness.sql import ask
from tests.harness.waiting import PATIENCE
from tests.service.store.rows import batch_of


@pytest.fixture
def url(server):
    return server.database()


async def everything_fails(database):
    for call in (
        database.ping,
        lambda: database.keys.find("key-1"),
        database.keys.list,
        lambda: database.audit.append(batch_of("lost", 2)),
    ):
        with pytest.raises(DatabaseError) as caught:
            await call()
        assert "127.0.0.1" not in caught.value.detail


async def noticed(database):
    """Wait until it is known to be back: callers are not the ones who find out."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await database.ping()
            except DatabaseAway:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
async def test_a_server_that_stops_and_starts_again(server, database, url, how):
    await database.audit.append(batch_of("before", 10))
    await asyncio.to_thread(server.stop, how)
    await everything_fails(database)
    await asyncio.to_thread(server.start)
    await database.audit.append([*batch_of("before", 10), *batch_of("after", 10)])
    await noticed(database)
    assert len(ask(url, "SELECT id FROM audit_event")) == 20


async def test_a_server_that_stands_still(server, database, url):
    await database.audit.append(batch_of("before", 10))
    server.freeze()
    try:
        await asyncio.gather(*(everything_fails(database) for _ in range(3)))
    finally:
        server.thaw()
    await database.audit.append([*batch_of("before", 10), *batch_of("after", 10)])
    assert await database.keys.list() == []
    found = ask(url, "SELECT id FROM audit_event WHERE id NOT LIKE 'lost%'")
    assert len(found) == 20


async def test_the_close_does_not_wait_for_a_server_that_stands_still(server, url):
    database = await open_database(url)
    server.freeze()
    try:
        task = asyncio.create_task(database.audit.append(batch_of("lost", 2)))
        await asyncio.sleep(0.05)
        await database.close()
        with pytest.raises(DatabaseError):
            await task
    finally:
        server.thaw()


async def insist_on(database, names):
    """Write a batch of each name, again and again until it was written."""
    while names:
        try:
            await database.audit.append(batch_of(names[0], 50))
            names.pop(0)
        except DatabaseError:
            await asyncio.sleep(0.02)


async def test_batches_are_written_once_however_often_the_server_crashes(server, database, url):
    writing = asyncio.create_task(insist_on(database, [f"b{number:03}" for number in range(60)]))
    for _ in range(3):
        await asyncio.sleep(0.15)
        await asyncio.to_thread(server.stop, signal.SIGQUIT)
        await asyncio.to_thread(server.start)
    await writing
    found = ask(url, "SELECT count(*) AS n, count(DISTINCT id) AS ids FROM audit_event")
    assert found == [{"n": 3000, "ids": 3000}]
    assert ask(url, "SELECT count(*) AS n FROM audit_content") == [{"n": 3000}]
