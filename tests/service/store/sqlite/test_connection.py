import asyncio
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from service.errors import DatabaseError
from service.store.sqlite.connection import Connection, rows
from service.store.sqlite.engine import WRITER_PRAGMAS
from service.store.sqlite.location import prepare
from service.store.sqlite.transaction import immediately


@pytest.fixture
async def connection(path):
    prepare(path)
    made = Connection(path, "test", WRITER_PRAGMAS, busy_timeout_ms=200)
    yield made
    await made.close()


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("parley-store-test")]


def never_run(done):
    return lambda _: done.append("run")


async def test_the_pragmas_hold(connection):
    pragmas = ("journal_mode", "synchronous", "foreign_keys", "recursive_triggers", "busy_timeout")
    found = [await connection.run(lambda c, p=p: c.execute(f"PRAGMA {p}").fetchone()[0]) for p in pragmas]
    assert found == ["wal", 1, 1, 1, 200]


async def test_work_runs_in_the_order_in_which_it_came(connection):
    order = []
    await asyncio.gather(*(connection.run(lambda _, n=n: order.append(n)) for n in range(100)))
    assert order == list(range(100))


async def test_work_cancelled_before_its_begin_is_not_done(connection):
    gate, done = threading.Event(), []
    blocker = asyncio.create_task(connection.run(lambda _: gate.wait(10)))
    waiting = asyncio.create_task(connection.run(never_run(done)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.set()
    await blocker
    assert done == []


async def test_a_cancelled_wait_ends_at_once_and_the_work_runs_to_its_end(connection):
    started, gate, done = threading.Event(), threading.Event(), []

    def work(_):
        started.set()
        gate.wait(10)
        done.append("whole")

    running = asyncio.create_task(connection.run(work))
    await asyncio.to_thread(started.wait, 10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert done == []
    gate.set()
    assert await connection.run(lambda _: list(done)) == ["whole"]


async def test_finish_is_done_though_its_wait_is_cancelled_before_its_begin(connection):
    gate, done = threading.Event(), []
    blocker = asyncio.create_task(connection.run(lambda _: gate.wait(10)))
    finishing = asyncio.create_task(connection.finish(lambda _: done.append("whole")))
    await asyncio.sleep(0)
    finishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await finishing
    gate.set()
    await blocker
    assert await connection.run(lambda _: list(done)) == ["whole"]


async def test_close_finishes_what_was_accepted_ends_the_thread_and_may_be_repeated(connection):
    done = []
    accepted = asyncio.create_task(connection.run(lambda _: (time.sleep(0.05), done.append("whole"))))
    await asyncio.sleep(0)
    await asyncio.gather(connection.close(), connection.close())
    await connection.close()
    await accepted
    assert (done, threads()) == (["whole"], [])
    with pytest.raises(DatabaseError, match="closed"):
        await connection.run(lambda _: None)


async def test_a_connection_that_was_never_used_closes(path):
    await Connection(path, "test", (), 0).close()
    assert threads() == []


async def test_a_failed_opening_leaves_nothing_open_and_may_be_repeated(path):
    connection = Connection(path, "test", WRITER_PRAGMAS, busy_timeout_ms=50)
    with pytest.raises(DatabaseError, match="cannot be opened"):
        await connection.run(lambda _: None)
    prepare(path)
    assert await connection.run(lambda c: c.execute("SELECT 1").fetchone()) == (1,)
    await connection.close()


@pytest.mark.parametrize("replace", [True, False])
async def test_a_file_that_was_moved_or_replaced_is_not_written_to(connection, path, replace):
    await connection.run(lambda c: c.execute("CREATE TABLE note (text TEXT)"))
    path.rename(path.with_suffix(".old"))
    if replace:
        prepare(path)
    with pytest.raises(DatabaseError, match="moved or replaced"):
        await connection.run(lambda c: c.execute("INSERT INTO note VALUES ('lost')"))


async def test_immediately_undoes_all_when_the_work_fails(connection):
    await connection.run(lambda c: c.execute("CREATE TABLE note (text TEXT)"))

    def work(c):
        c.execute("INSERT INTO note VALUES ('half')")
        raise KeyError

    with pytest.raises(KeyError):
        await connection.run(lambda c: immediately(work, c))
    assert await connection.run(lambda c: (rows("SELECT * FROM note", (), c), c.in_transaction)) == (
        [],
        False,
    )


async def test_a_path_with_odd_characters_is_that_path(tmp_path):
    path = tmp_path / "a b?c%20#é.db"
    prepare(path)
    connection = Connection(path, "test", WRITER_PRAGMAS, busy_timeout_ms=50)
    await connection.run(lambda c: c.execute("CREATE TABLE note (text TEXT)"))
    await connection.close()
    with sqlite3.connect(path) as plain:
        assert plain.execute("SELECT name FROM sqlite_master").fetchall() == [("note",)]
    plain.close()


def test_a_forgotten_connection_does_not_keep_the_process_alive(path):
    program = """
import asyncio, sys
from pathlib import Path
from service.store.sqlite.connection import Connection
from service.store.sqlite.location import prepare
async def main():
    global kept
    prepare(Path(sys.argv[1]))
    kept = Connection(Path(sys.argv[1]), "forgotten", (), 100)
    await kept.run(lambda c: c.execute("CREATE TABLE note (text TEXT)"))
    raise SystemExit(3)
asyncio.run(main())
"""
    assert subprocess.run([sys.executable, "-c", program, path], timeout=60, check=False).returncode == 3
