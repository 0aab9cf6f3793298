"""Ended sessions in the database: known everywhere and after a restart, forgotten once they would be over."""

import asyncio

import pytest
from piccolo.querystring import QueryString

from service.errors import DatabaseError
from service.store.database import open_database
from service.store.sessions import SWEEP

NOW = 1_764_000_000_000_000
HOUR = 3_600_000_000


async def count(database):
    query = QueryString("SELECT count(*) AS n FROM revoked_session")
    return (await database._engine.run_querystring(query))[0]["n"]


async def test_a_session_goes_on_until_it_is_ended(database):
    assert await database.sessions.revoked("one") is False
    await database.sessions.revoke("one", NOW + HOUR, NOW)
    assert await database.sessions.revoked("one") is True
    assert await database.sessions.revoked("on") is False
    assert await database.sessions.revoked("") is False


async def test_ending_it_again_is_nothing(database):
    await asyncio.gather(*(database.sessions.revoke("one", NOW + HOUR, NOW) for _ in range(10)))
    assert await count(database) == 1


async def test_another_process_and_the_next_start_know_it(database, url):
    other = await open_database(url)
    try:
        await database.sessions.revoke("one", NOW + HOUR, NOW)
        assert await other.sessions.revoked("one")
    finally:
        await other.close()
    again = await open_database(url)
    try:
        assert await again.sessions.revoked("one")
    finally:
        await again.close()


async def test_what_would_be_over_is_forgotten_in_passing(database):
    for number in range(SWEEP + 5):
        await database.sessions.revoke(f"old {number}", NOW + 1 + number, NOW)
    assert await count(database) == SWEEP + 5
    await database.sessions.revoke("lasting", NOW + 2 * HOUR, NOW + HOUR)
    assert await count(database) == 6
    await database.sessions.revoke("late", NOW + 2 * HOUR, NOW + HOUR)
    assert await count(database) == 2
    assert await database.sessions.revoked("lasting")


async def test_a_database_that_is_closed_does_not_say_that_it_goes_on(database):
    await database.close()
    with pytest.raises(DatabaseError):
        await database.sessions.revoked("one")
    with pytest.raises(DatabaseError):
        await database.sessions.revoke("one", NOW + HOUR, NOW)
