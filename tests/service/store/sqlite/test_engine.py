import asyncio
import contextlib
import sqlite3
import threading

import pytest
from piccolo.querystring import QueryString

from service.errors import DatabaseError
from service.store.engine import Batch
from service.store.sqlite.connection import rows
from service.store.sqlite.engine import WalEngine
from service.store.sqlite.location import prepare
from service.store.sqlite.transaction import begin

INSERT = "INSERT INTO note (text) VALUES (?)"


async def insert(engine, text):
    await engine.run_querystring(QueryString("INSERT INTO note (text) VALUES ({})", text))


async def notes(engine):
    return [row["text"] for row in await engine.run_ddl("SELECT text FROM note ORDER BY rowid")]


@contextlib.contextmanager
def locked(path, mode="IMMEDIATE"):
    other = sqlite3.connect(path, timeout=0, isolation_level=None)
    other.execute(f"BEGIN {mode}")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


async def test_a_select_goes_to_the_reader_which_cannot_write(engine):
    with pytest.raises(DatabaseError, match="read-only"):
        await engine.reader.run(lambda c: rows("INSERT INTO note VALUES ('x')", (), c))


async def test_a_write_is_seen_by_the_next_read(engine):
    for number in range(20):
        await insert(engine, str(number))
        assert len(await notes(engine)) == number + 1


async def test_a_transaction_commits_at_its_end_and_is_not_seen_before(engine):
    async with engine.transaction():
        await insert(engine, "a")
        assert await notes(engine) == ["a"]
        assert await engine.reader.run(lambda c: rows("SELECT text FROM note", (), c)) == []
    assert await notes(engine) == ["a"]


async def test_a_transaction_is_undone_by_an_error_and_leaves_no_lock(engine, path):
    async def fail():
        async with engine.transaction():
            await insert(engine, "a")
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    with locked(path):
        pass
    await insert(engine, "b")
    assert await notes(engine) == ["b"]


async def test_a_failed_statement_undoes_the_transaction(engine):
    async def fail():
        async with engine.transaction():
            await insert(engine, "a")
            await engine.run_ddl("INSERT INTO nothing VALUES (1)")

    with pytest.raises(DatabaseError):
        await fail()
    assert await notes(engine) == []


async def test_nesting_is_refused(engine):
    async def nest():
        async with engine.transaction(), engine.transaction():
            pytest.fail("nested")

    with pytest.raises(DatabaseError, match="already open"):
        await nest()
    async with engine.transaction():
        await insert(engine, "a")
    assert await notes(engine) == ["a"]


async def test_a_task_born_in_a_transaction_may_not_use_it_while_it_is_open(engine):
    async with engine.transaction():
        with pytest.raises(DatabaseError, match="belongs to the task"):
            await asyncio.create_task(insert(engine, "child"))
    assert await notes(engine) == []


async def test_a_task_born_in_a_transaction_may_write_once_it_is_over(engine):
    over = asyncio.Event()

    async def later():
        await over.wait()
        await insert(engine, "child")

    async with engine.transaction():
        child = asyncio.create_task(later())
        await insert(engine, "parent")
    over.set()
    await child
    assert await notes(engine) == ["parent", "child"]


async def test_other_tasks_writes_wait_for_the_transaction_and_are_not_part_of_it(engine):
    entered, leave = asyncio.Event(), asyncio.Event()

    async def undone():
        with contextlib.suppress(KeyError):
            async with engine.transaction():
                await insert(engine, "undone")
                entered.set()
                await leave.wait()
                raise KeyError

    first = asyncio.create_task(undone())
    await entered.wait()
    second = asyncio.create_task(engine.write(Batch(INSERT, [("kept",)])))
    third = asyncio.create_task(insert(engine, "kept too"))
    await asyncio.sleep(0.02)
    assert (second.done(), third.done()) == (False, False)
    leave.set()
    await asyncio.gather(first, second, third)
    assert await notes(engine) == ["kept", "kept too"]


async def test_writes_inside_a_transaction_are_part_of_it(engine):
    async def fail():
        async with engine.transaction():
            await engine.write(Batch(INSERT, [("a",), ("b",)]))
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert await notes(engine) == []


async def test_write_does_all_batches_or_none(engine):
    with pytest.raises(DatabaseError):
        await engine.write(Batch(INSERT, [("a",)]), Batch("INSERT INTO nothing VALUES (?)", [("b",)]))
    assert await notes(engine) == []


async def test_write_undoes_all_when_drawing_the_rows_fails(engine):
    def draw():
        yield ("a",)
        raise KeyError

    with pytest.raises(KeyError):
        await engine.write(Batch(INSERT, draw()))
    assert await notes(engine) == []


@pytest.mark.parametrize("mode", ["IMMEDIATE", "EXCLUSIVE"])
async def test_reads_go_on_while_another_process_holds_the_write_lock(engine, path, mode):
    await insert(engine, "a")
    with locked(path, mode):
        assert await notes(engine) == ["a"]


async def test_reads_go_on_while_the_writer_is_blocked(engine):
    gate = threading.Event()
    blocked = asyncio.create_task(engine.writer.run(lambda _: gate.wait(10)))
    assert await notes(engine) == []
    assert not blocked.done()
    gate.set()
    await blocked


async def test_a_locked_database_is_an_error_and_later_none(engine, path):
    with locked(path):
        for attempt in (engine.write(Batch(INSERT, [("a",)])), insert(engine, "a")):
            with pytest.raises(DatabaseError, match="locked by another writer"):
                await attempt
        with pytest.raises(DatabaseError, match="locked by another writer"):
            async with engine.transaction():
                pytest.fail("no lock")
    async with engine.transaction():
        await insert(engine, "b")
    assert await notes(engine) == ["b"]


async def test_a_cancelled_begin_holds_no_lock(path, engine):
    patient = WalEngine(path, busy_timeout_ms=30_000)
    with locked(path):
        task = asyncio.create_task(patient.transaction().__aenter__())
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.sleep(0.05)
    with pytest.raises(asyncio.CancelledError):
        await task
    await insert(engine, "from the other engine")
    await insert(patient, "and this one")
    assert len(await notes(engine)) == 2
    await patient.close()


@pytest.mark.parametrize("times", [1, 2])
async def test_cancellation_inside_a_transaction_undoes_it_and_frees_the_lock(engine, times):
    entered = asyncio.Event()

    async def hang():
        async with engine.transaction():
            await insert(engine, "half")
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await entered.wait()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    await insert(engine, "next")
    assert await notes(engine) == ["next"]


@pytest.mark.parametrize("times", [1, 3])
async def test_cancellation_of_a_running_statement_in_a_transaction_undoes_it(engine, path, times):
    started, gate = threading.Event(), threading.Event()

    def hold():
        started.set()
        gate.wait(10)

    async def hang():
        async with engine.transaction():
            await engine.run_ddl("INSERT INTO note SELECT hold()")

    await engine.writer.run(lambda c: c.create_function("hold", 0, hold))
    task = asyncio.create_task(hang())
    await asyncio.to_thread(started.wait, 10)
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0.01)
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await engine.writer.run(lambda _: None)
    with locked(path):
        assert await notes(engine) == []


async def test_after_a_rollback_of_the_databases_own_nothing_lasts(engine):
    async def carry_on():
        async with engine.transaction():
            await insert(engine, "a")
            with pytest.raises(DatabaseError, match="disk of the database is full"):
                await insert(engine, "b" * 100_000)
            await insert(engine, "c")

    await engine.writer.run(lambda c: c.execute("PRAGMA max_page_count = 4"))
    with pytest.raises(DatabaseError, match="was rolled back by the database"):
        await carry_on()
    assert await notes(engine) == []
    await insert(engine, "d")
    assert await notes(engine) == ["d"]


def test_one_engine_serves_one_event_loop_after_another(path):
    prepare(path)
    engine = WalEngine(path, busy_timeout_ms=200)

    async def use(text):
        await asyncio.gather(*(insert(engine, text) for _ in range(20)))

    asyncio.run(engine.run_ddl("CREATE TABLE note (text TEXT)"))
    asyncio.run(use("a"))
    asyncio.run(use("b"))
    assert asyncio.run(notes(engine)) == ["a"] * 20 + ["b"] * 20
    asyncio.run(engine.close())


async def test_a_transaction_that_an_earlier_loop_left_open_is_undone_by_the_next_write(engine):
    await engine.writer.run(begin)
    await engine.writer.run(lambda c: rows("INSERT INTO note VALUES ('abandoned')", (), c))
    await insert(engine, "next")
    assert await notes(engine) == ["next"]


async def test_piccolos_batch_and_atomic_are_refused(engine):
    with pytest.raises(NotImplementedError):
        await engine.batch(None)
    with pytest.raises(NotImplementedError):
        engine.atomic()


async def test_values_that_do_not_fit_are_errors_and_leave_nothing(engine):
    for value in (2**63, "\ud800", object()):
        with pytest.raises(DatabaseError):
            await engine.write(Batch(INSERT, [("first",), (value,)]))
    assert await notes(engine) == []
