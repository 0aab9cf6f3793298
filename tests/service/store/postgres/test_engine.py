import asyncio
import random
from contextlib import AsyncExitStack, suppress

import pytest
from piccolo.querystring import QueryString

from service.errors import DatabaseError, RowRefused
from service.store.database import open_database
from service.store.engine import Batch
from service.store.postgres.engine import LINES
from tests.harness.sql import ask, locked
from tests.service.store.rows import Row, batch_of

NOTE = "INSERT INTO note (text) VALUES ($1)"


@pytest.fixture
async def engine(database):
    await database._engine.run_ddl("CREATE TABLE note (text TEXT)")
    return database._engine


async def notes(engine):
    return sorted(row["text"] for row in await engine.run_ddl("SELECT text FROM note"))


async def sleep(engine, seconds):
    return await engine.run_querystring(QueryString("SELECT 1 AS n FROM pg_sleep({})", float(seconds)))


async def test_the_contracts_query_sorts_nothing(database, url):
    for number in range(4):
        await database.audit.append(batch_of(f"e{number}", 500))
    ask(url, "ANALYZE")
    contract = (
        """SELECT * FROM "AuditEvent" WHERE "entityType" = 'AGENT_QUERY' ORDER BY "createdAt" DESC LIMIT 10"""
    )
    plan = " ".join(row["QUERY PLAN"] for row in ask(url, "EXPLAIN " + contract))
    assert "audit_event_entity_type" in plan
    assert "Sort" not in plan


async def test_reads_and_batches_go_on_while_a_transaction_is_open(engine):
    async with engine.transaction():
        await engine.write(Batch(NOTE, [("inside",)]))

        async def outside():
            await engine.write(Batch(NOTE, [("outside",)]))
            return await notes(engine)

        assert await outside_of_any_transaction(outside) == ["outside"]
    assert await notes(engine) == ["inside", "outside"]


async def outside_of_any_transaction(work):
    """Run work in a task that inherits nothing."""
    import contextvars

    return await asyncio.create_task(work(), context=contextvars.Context())


async def test_more_work_than_connections_waits_its_turn(engine):
    found = await asyncio.gather(*(sleep(engine, 0.01) for _ in range(LINES * 5)))
    assert found == [[{"n": 1}]] * LINES * 5


async def test_where_all_connections_are_lent_the_wait_has_an_end(database):
    async with AsyncExitStack() as lent:
        for _ in range(LINES):
            await lent.enter_async_context(database._engine.lent())
        with pytest.raises(DatabaseError, match="did not answer in time"):
            await database.audit.append([Row(id="event-1")])
    await database.audit.append([Row(id="event-1")])


async def test_cancelled_statements_cost_the_pool_nothing(engine):
    for number in range(LINES * 2):
        task = asyncio.create_task(sleep(engine, 60))
        await asyncio.sleep(0.005 * (number % 3))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await asyncio.gather(*(sleep(engine, 0) for _ in range(LINES))) == [[{"n": 1}]] * LINES


async def test_cancelled_waits_for_a_connection_cost_the_pool_nothing(database):
    engine = database._engine
    async with AsyncExitStack() as lent:
        for _ in range(LINES):
            await lent.enter_async_context(engine.lent())
        tasks = [asyncio.create_task(sleep(engine, 0)) for _ in range(30)]
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*(sleep(engine, 0) for _ in range(LINES)))


async def test_a_statement_without_end_is_ended_by_the_server(engine):
    with pytest.raises(DatabaseError, match="did not answer in time"):
        await sleep(engine, 3600)
    assert await notes(engine) == []


async def test_a_lock_of_another_is_an_error_after_a_while_and_later_none(database, url):
    async with locked(url, "audit_event"):
        with pytest.raises(DatabaseError, match="locked by another writer"):
            await database.audit.append([Row(id="event-1")])
        await database.ping()
    await database.audit.append([Row(id="event-1")])
    assert ask(url, "SELECT id FROM audit_event") == [{"id": "event-1"}]


async def test_an_error_that_was_swallowed_does_not_become_a_silent_rollback(engine):
    async def carry_on():
        async with engine.transaction():
            await engine.write(Batch(NOTE, [("a",)]))
            with suppress(DatabaseError):
                await engine.run_ddl("INSERT INTO nothing VALUES (1)")

    with pytest.raises(DatabaseError, match="was rolled back by the database"):
        await carry_on()
    assert await notes(engine) == []


async def test_write_does_all_batches_or_none_and_the_driver_has_nothing_to_complain_of(engine, caplog):
    with pytest.raises(DatabaseError):
        await engine.write(Batch(NOTE, [("a",)]), Batch("INSERT INTO nothing VALUES ($1)", [("b",)]))
    assert await notes(engine) == []
    assert caplog.records == []


async def test_write_undoes_all_when_drawing_the_rows_fails(engine):
    def draw():
        yield ("a",)
        raise KeyError

    with pytest.raises(KeyError):
        await engine.write(Batch(NOTE, draw()))
    assert await notes(engine) == []


@pytest.mark.parametrize("value", [1, 1.5, b"x", object(), "a\0b", "\ud800"])
async def test_values_that_do_not_fit_are_errors_and_leave_nothing(engine, value):
    with pytest.raises(DatabaseError, match="cannot hold one of the values"):
        await engine.write(Batch(NOTE, [("first",), (value,)]))
    assert await notes(engine) == []


async def test_connections_that_the_server_ended_are_replaced(database, url):
    await asyncio.gather(*(sleep(database._engine, 0.01) for _ in range(LINES)))
    ask(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'parley'")
    await asyncio.sleep(0.05)
    await asyncio.gather(*(sleep(database._engine, 0) for _ in range(LINES)))


async def test_a_transaction_whose_connection_was_ended_is_an_error_and_undone(engine, url):
    async def lose():
        async with engine.transaction():
            await engine.write(Batch(NOTE, [("a",)]))
            ask(
                url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'parley' AND state = 'idle in transaction'",
            )
            await engine.write(Batch(NOTE, [("b",)]))

    with pytest.raises(DatabaseError):
        await lose()
    async with engine.transaction():
        assert await notes(engine) == []


async def test_piccolos_batch_and_atomic_are_refused(engine):
    with pytest.raises(NotImplementedError):
        await engine.batch(None)
    with pytest.raises(NotImplementedError):
        engine.atomic()


async def test_the_close_waits_for_work_that_was_accepted(url):
    database = await open_database(url)
    waiting = asyncio.create_task(sleep(database._engine, 0.3))
    await asyncio.sleep(0.05)
    await database.close()
    assert await waiting == [{"n": 1}] or waiting.done()
    assert ask(url, "SELECT 1 FROM pg_stat_activity WHERE application_name = 'parley'") == []


async def test_closed_by_force_no_connection_is_left(url):
    database = await open_database(url)
    async with database._engine.lent() as line:
        closing = asyncio.create_task(database.close())
        await asyncio.sleep(0.01)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        with pytest.raises(DatabaseError, match="is closed"):
            await database.ping()
    del line
    await asyncio.sleep(0.05)
    assert ask(url, "SELECT 1 FROM pg_stat_activity WHERE application_name = 'parley'") == []


async def test_a_value_too_long_for_an_index_is_refused_for_ever(database):
    long = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=20_000))  # noqa: S311 - no secret; a text that does not compress
    with pytest.raises(RowRefused):
        await database.audit.append([Row(id="event-1", actor_id=long)])


async def test_a_connection_that_cannot_be_rolled_back_goes_back_all_the_same(engine, monkeypatch):
    async def failing(line):
        del line
        raise DatabaseError("not now")

    monkeypatch.setattr("service.store.postgres.engine._undo", failing)
    for _ in range(LINES + 1):
        async with engine.lent():
            pass
    assert await notes(engine) == []
