"""Whether the database is away: who waits for it, who is told at once, and what says that it is back."""

import asyncio
import sqlite3
import time
from contextlib import closing

import pytest

from service.errors import DatabaseAway, DatabaseError, RowRefused
from service.store import outage
from service.store.database import open_database
from service.store.outage import SILENT, Outage


class Server:
    """A database that is there or not; `asked` counts the signs of life that were wanted."""

    def __init__(self):
        self.wrong, self.asked, self.silent = None, 0, asyncio.Event()

    async def sign(self):
        self.asked += 1
        if self.wrong is SILENT:
            await self.silent.wait()
        elif self.wrong:
            raise DatabaseError(self.wrong)


@pytest.fixture
async def server():
    return Server()


@pytest.fixture
async def away(server, monkeypatch):
    monkeypatch.setattr(outage, "PAUSE_SECONDS", 0.001)
    known = Outage(server.sign, patience=0.01)
    yield known
    await known.close()


async def look(known, error=None):
    """What became of one look."""
    try:
        async with known.looking():
            if error:
                raise error
    except DatabaseError as met:
        return type(met)
    return None


async def keep(known, error=None):
    try:
        async with known.keeping():
            if error:
                raise error
    except DatabaseError as met:
        return type(met)
    return None


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.001)


async def test_a_database_that_is_there_is_asked_each_time(server, away):
    assert [await look(away), await keep(away)] == [None, None]
    assert (away.reason, server.asked) == (None, 0)


async def test_once_it_is_known_nobody_asks_and_nobody_waits(server, away):
    server.wrong = "Refused."
    assert await look(away, DatabaseError("Refused.")) is DatabaseError
    await until(lambda: away.reason)
    assert (await look(away), await keep(away), away.reason) == (DatabaseAway, DatabaseAway, "Refused.")
    server.wrong = "Starting."
    await until(lambda: away.reason == "Starting.")
    server.wrong = None
    await until(lambda: not away.reason)
    assert [await look(away), await keep(away)] == [None, None]


async def test_one_question_that_fails_is_no_outage(server, away):
    assert await look(away, DatabaseError("No such table.")) is DatabaseError
    assert await look(away) is None
    await until(lambda: server.asked == 1)
    assert (await look(away), away.reason) == (None, None)


async def test_a_row_that_it_will_never_take_says_nothing_of_it(server, away):
    assert [await look(away, RowRefused("x")), await keep(away, RowRefused("x"))] == [RowRefused] * 2
    await asyncio.sleep(0)
    assert (away.reason, server.asked) == (None, 0)


async def test_the_first_who_waited_in_vain_releases_all_others(server, away, monkeypatch):
    server.wrong = SILENT
    monkeypatch.setattr(outage, "PROMPT_SECONDS", 0.1)
    waiting = [asyncio.create_task(wait_in(away)) for _ in range(5)]
    await asyncio.sleep(0.09)
    assert await wait_in(away) is DatabaseError
    assert await asyncio.gather(*waiting) == [DatabaseError] * 5
    assert (away.reason, await look(away)) == (SILENT, DatabaseAway)


async def test_who_waits_behind_others_that_are_answered_waits_on(away, monkeypatch):
    monkeypatch.setattr(outage, "PROMPT_SECONDS", 0.2)
    waiting = asyncio.create_task(wait_in(away))
    for _ in range(12):
        await asyncio.sleep(0.05)
        assert await look(away) is None
    assert (away.reason, waiting.done()) == (None, False)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_our_own_lateness_is_no_silence(away, monkeypatch):
    monkeypatch.setattr(outage, "PROMPT_SECONDS", 0.2)
    monkeypatch.setattr(outage, "SLOW_SECONDS", 0.2)

    async def late():
        await asyncio.sleep(0)
        time.sleep(0.5)  # noqa: ASYNC251 - the loop stands still, as under a flood
        await asyncio.sleep(0)

    async with away.looking():
        await late()
    async with away.keeping():
        await late()
    assert away.reason is None


async def wait_in(known):
    try:
        async with known.looking():
            await asyncio.Event().wait()
    except DatabaseError as met:
        return type(met)


async def test_a_slow_write_holds_up_no_further_ones_and_ends_well(server, away, monkeypatch):
    server.wrong = SILENT
    monkeypatch.setattr(outage, "SLOW_SECONDS", 0.001)
    done = asyncio.Event()

    async def slow():
        async with away.keeping():
            await done.wait()
        return "kept"

    writing = asyncio.create_task(slow())
    await until(lambda: away.reason)
    assert await keep(away) is DatabaseAway
    done.set()
    assert await writing == "kept"
    server.wrong = None
    server.silent.set()
    await until(lambda: not away.reason)
    assert await keep(away) is None


async def test_what_cannot_be_read_cannot_be_written(server, away):
    above = Outage(server.sign, beneath=away)
    server.wrong = "Refused."
    await look(away, DatabaseError("Refused."))
    await until(lambda: away.reason)
    assert (await keep(above), above.reason) == (DatabaseAway, "Refused.")


async def test_what_cannot_be_written_can_be_read(server, away):
    above = Outage(server.sign, beneath=away)
    server.wrong = "Locked."
    assert await keep(above, DatabaseError("Locked.")) is DatabaseError
    assert (await keep(above), await look(away)) == (DatabaseAway, None)
    await above.close()


async def test_after_the_close_nobody_is_asked(server, away):
    server.wrong = "Refused."
    await keep(away, DatabaseError("Refused."))
    await away.close()
    asked = server.asked
    assert (away.reason, await look(away, DatabaseError("Closed."))) == (None, DatabaseError)
    await asyncio.sleep(0.005)
    assert (away.reason, server.asked) == (None, asked)
    await away.close()


async def test_the_stores_ask_through_it(database):
    engine = database._engine
    await engine.reading._sign()
    await engine.writing._sign()
    engine.reading._reason = "Away."
    looks = (
        database.ping,
        lambda: database.keys.find("k"),
        lambda: database.sessions.revoked("s"),
        lambda: database.idempotency.find("ann", "k", 1),
        lambda: database.idempotency.release("ann", "k", "t"),
        lambda: database.conversations.recall("c", "ann", 5),
        lambda: database.conversations.find("c", "ann"),
        lambda: database.conversations.list("ann", 5),
    )
    for call in looks:
        with pytest.raises(DatabaseAway, match=r"Away\."):
            await call()
    engine.reading._reason = None
    assert await database.keys.find("k") is None


async def test_a_file_that_another_program_locks_is_read_and_not_written(tmp_path):
    database = await open_database(f"sqlite:///{tmp_path}/a.db", busy_timeout_ms=10)
    try:
        with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            with pytest.raises(DatabaseError):
                await database.idempotency.release("ann", "k", "t")
            with pytest.raises(DatabaseAway, match="locked"):
                await database.idempotency.release("ann", "k", "t")
            assert await database.keys.find("k") is None
            connection.execute("ROLLBACK")
        await until(lambda: not database._engine.writing.reason)
        await database.idempotency.release("ann", "k", "t")
    finally:
        await database.close()
