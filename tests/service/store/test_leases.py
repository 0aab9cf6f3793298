"""Leases on conversations: one holder at a time over all processes, and the dead hold up nobody for long."""

import asyncio

import pytest

from service.errors import DatabaseError
from service.store import leases
from service.store.database import open_database
from tests.harness.sql import ask


@pytest.fixture
async def other(url):
    opened = await open_database(url)
    yield opened
    await opened.close()


def age(url, microseconds):
    """Let time pass for every lease."""
    ask(url, f"UPDATE conversation_lease SET expires_at = expires_at - {microseconds}")  # noqa: S608 - ours


async def test_one_holder_at_a_time_in_whatever_process(database, other):
    assert await database.leases.take("ann", "c", "t1")
    assert not await other.leases.take("ann", "c", "t2")
    assert await other.leases.take("bob", "c", "t3")
    assert await other.leases.take("ann", "d", "t4")
    await database.leases.release("ann", "c", "t1")
    assert await other.leases.take("ann", "c", "t2")


async def test_of_many_at_once_one_gets_it(database, other):
    stores = [database.leases, other.leases] * 10
    taken = await asyncio.gather(*(each.take("ann", "c", f"t{number}") for number, each in enumerate(stores)))
    assert sum(taken) == 1


async def test_its_holder_may_take_it_again_and_only_its_holder_frees_it(database, other):
    assert await database.leases.take("ann", "c", "t1")
    assert await database.leases.take("ann", "c", "t1")
    await other.leases.release("ann", "c", "t2")
    assert not await other.leases.take("ann", "c", "t2")


async def test_one_that_is_not_renewed_is_free_and_one_that_is_is_not(database, other, url):
    for place in ("dead", "alive"):
        assert await database.leases.take("ann", place, place)
    age(url, leases.LAST_MICROSECONDS + 1)
    await database.leases.renew(["alive"])
    assert await other.leases.take("ann", "dead", "t")
    assert not await other.leases.take("ann", "alive", "t")
    await database.leases.release("ann", "dead", "dead")
    assert not await database.leases.take("ann", "dead", "late")


async def test_what_the_dead_left_long_ago_goes_with_a_renewal(database, url):
    await database.leases.take("ann", "c", "t1")
    age(url, leases.LAST_MICROSECONDS + leases.SWEPT_MICROSECONDS + 1)
    await database.leases.renew([])
    assert ask(url, "SELECT * FROM conversation_lease") == []


async def test_nobodys_name_is_in_it(database, url):
    await database.leases.take("ann", "c", "t1")
    assert "ann" not in str(ask(url, "SELECT * FROM conversation_lease"))


async def test_a_database_that_is_away_is_an_error(database):
    await database.close()
    for each in (
        database.leases.take("ann", "c", "t1"),
        database.leases.renew(["t1"]),
        database.leases.release("ann", "c", "t1"),
    ):
        with pytest.raises(DatabaseError):
            await each
