import asyncio
import fcntl
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from service.errors import DatabaseError
from service.store.sqlite.engine import WalEngine
from service.store.sqlite.lock import FileLock

BUSY = "locked by another writer"


@pytest.fixture
def lock_path(path):
    return path.with_name("parley.db.lock")


def free(lock_path):
    """Whether anybody holds the lock, seen from outside."""
    with lock_path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


async def add(engine, text="x"):
    await engine.run_ddl(f"INSERT INTO note VALUES ('{text}')")  # noqa: S608 - our own


async def test_a_write_waits_for_the_lock_and_gives_up_in_a_sentence(engine, lock_path):
    held = FileLock(lock_path.with_suffix(""), 0)
    assert held.take()
    with pytest.raises(DatabaseError, match=BUSY):
        await add(engine)
    assert await engine.run_ddl("SELECT * FROM note") == []
    held.release()
    await add(engine)
    held.close()


async def test_the_lock_is_held_from_before_the_transaction_until_after_it(engine, lock_path):
    assert free(lock_path)
    async with engine.transaction():
        assert not free(lock_path)
        await add(engine)
        assert not free(lock_path)
    assert free(lock_path)
    seen = await engine.run_script(lambda: seeing(lock_path))
    assert (seen, free(lock_path)) == (False, True)
    assert await engine.alone(lambda _: free(lock_path)) is False
    assert free(lock_path)


def seeing(lock_path):
    yield from ()
    return free(lock_path)


async def test_a_checkpoint_of_a_commit_is_made_under_the_lock(engine, lock_path):
    def checkpointing(connection):
        connection.execute("PRAGMA wal_autocheckpoint = 1").fetchall()

    await engine.writer.run(checkpointing)
    seen = []
    await engine.writer.run(
        lambda connection: connection.set_trace_callback(lambda sql: seen.append((sql, free(lock_path))))
    )
    await add(engine)
    assert [(sql.split()[0], was_free) for sql, was_free in seen] == [
        ("BEGIN", False),
        ("INSERT", False),
        ("COMMIT", False),
    ]


@pytest.mark.parametrize("statement", ["INSERT INTO nothing VALUES (1)", "COMMIT", "ROLLBACK"])
async def test_whatever_fails_the_lock_is_let_go(engine, lock_path, statement):
    with pytest.raises(DatabaseError):
        await engine.run_ddl(statement)
    with pytest.raises(KeyError):
        async with engine.transaction():
            raise KeyError
    assert free(lock_path)
    await add(engine)


async def test_a_lock_of_sqlites_own_lets_the_files_lock_go(engine, path, lock_path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseError, match=BUSY):
            await add(engine)
        assert free(lock_path)


async def test_a_killed_process_leaves_no_lock(engine, path, lock_path):
    program = """
import asyncio, sys
from pathlib import Path
from service.store.sqlite.engine import WalEngine
async def main():
    engine = WalEngine(Path(sys.argv[1]), 1000)
    async with engine.transaction():
        print("in", flush=True)
        sys.stdin.read()
asyncio.run(main())
"""
    with subprocess.Popen(  # noqa: ASYNC220 - a moment's work
        [sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert await asyncio.to_thread(child.stdout.readline) == b"in\n"
        assert not free(lock_path)
        with pytest.raises(DatabaseError, match=BUSY):
            await add(engine)
        child.kill()
    await add(engine)


async def test_a_lock_file_that_was_removed_is_made_anew_and_still_the_same_to_all(engine, path, lock_path):
    await add(engine)
    lock_path.unlink()
    other = WalEngine(path, 200)
    async with other.transaction():
        with pytest.raises(DatabaseError, match=BUSY):
            await add(engine)
    await add(engine)
    await other.close()


async def test_closing_holds_the_lock_and_waits_for_nobody(path, engine, lock_path):
    held = FileLock(path, 0)
    assert held.take()
    await engine.close()
    held.close()
    assert free(lock_path)


async def test_reading_takes_no_lock(engine, path, lock_path):
    await add(engine)
    os.truncate(lock_path, 0)
    before = lock_path.stat().st_ino
    held = FileLock(path, 0)
    assert held.take()
    assert await engine.run_ddl("SELECT * FROM note") == [{"text": "x"}]
    held.close()
    assert lock_path.stat().st_ino == before


async def test_two_engines_take_turns(engine, path):
    other = WalEngine(path, 60_000)
    mine = WalEngine(path, 60_000)
    await asyncio.gather(*(add(one, f"{n}") for n in range(100) for one in (other, mine)))
    found = await engine.run_ddl("SELECT count(*) AS n FROM note")
    assert found == [{"n": 200}]
    await other.close()
    await mine.close()
