import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from service.errors import DatabaseError
from service.store.database import open_database
from service.store.keys import StoredKey
from service.store.sqlite.location import FORM
from tests.service.store.rows import Row

KEY = StoredKey(id="key-1", user_id="user-1", role="CFO", scopes=(), digest="ab", created_at=1)


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("parley-store")]


async def refused(url, **options):
    with pytest.raises(DatabaseError) as caught:
        await open_database(url, **options)
    assert threads() == []
    return caught.value.detail


async def test_what_was_written_is_there_after_opening_again(url):
    first = await open_database(url)
    await first.keys.add(KEY)
    await first.close()
    second = await open_database(url)
    assert await second.keys.find("key-1") == KEY
    await second.close()


async def test_a_relative_path_stays_where_it_was_when_the_directory_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    database = await open_database("sqlite:///var/parley.db")
    monkeypatch.chdir("/")
    await database.ping()
    await database.keys.add(KEY)
    await database.close()
    assert (tmp_path / "var" / "parley.db").exists()


async def test_all_files_are_the_owners_alone(database, path):
    await database.keys.add(KEY)
    assert {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {
        "parley.db": 0o600,
        "parley.db-wal": 0o600,
        "parley.db-shm": 0o600,
        "parley.db.lock": 0o600,
    }


@pytest.mark.parametrize("content", [b"no database" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_a_file_that_is_no_database_is_refused_and_left_alone(url, path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    assert "database" in await refused(url)
    assert path.read_bytes() == content


@pytest.mark.parametrize("url", ["sqlite://", ":memory:", "sqlite:///:memory:", "mysql://h/d"])
async def test_a_url_that_is_not_supported_is_refused(url):
    assert await refused(url) == FORM


async def test_a_directory_as_file_is_refused(url, path):
    path.mkdir(parents=True)
    assert await refused(url) == "The database file cannot be opened: Is a directory."


async def test_a_newer_database_is_refused(url, path):
    await (await open_database(url)).close()
    with closing(sqlite3.connect(path)) as plain, plain:
        plain.execute("INSERT INTO schema_migration VALUES (999, 'later', 'x', 0)")
    assert "newer than this program: migration 999" in await refused(url)


async def test_another_checksum_is_refused(url, path):
    await (await open_database(url)).close()
    with closing(sqlite3.connect(path)) as plain, plain:
        plain.execute("UPDATE schema_migration SET checksum = 'x' WHERE version = 1")
    assert "Migration 1 of the database is not the one" in await refused(url)


async def test_a_locked_new_database_is_refused_and_opens_later(url, path):
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert await refused(url, busy_timeout_ms=100) == "The database is locked by another writer."
    await (await open_database(url)).close()


async def test_a_new_database_waits_for_another_process_that_writes_it(url, path):
    path.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.2, other.execute, ["ROLLBACK"])
        release.start()
        database = await open_database(url, busy_timeout_ms=60_000)
        release.join()
    await database.ping()
    await database.close()


async def test_a_locked_database_is_an_error_after_the_busy_timeout_and_later_none(url, path):
    database = await open_database(url, busy_timeout_ms=100)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseError, match="locked by another writer"):
            await database.audit.append([Row(id="event-1")])
        with pytest.raises(DatabaseError, match="locked by another writer"):
            await database.keys.revoke("key-1", 1)
        await database.ping()
    await database.audit.append([Row(id="event-1")])
    await database.close()
    with closing(sqlite3.connect(path)) as plain:
        assert plain.execute("SELECT id FROM audit_event").fetchall() == [("event-1",)]


async def test_a_database_that_is_in_use_opens_without_the_write_lock(database, url, path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        second = await open_database(url, busy_timeout_ms=50)
        assert await second.keys.find("key-1") is None
        await second.close()
    await database.ping()


async def test_two_databases_in_one_process_are_two(tmp_path):
    one, two = [await open_database(f"sqlite:///{tmp_path}/{name}.db") for name in ("one", "two")]
    await one.keys.add(KEY)
    await two.audit.append([Row(id="event-1")])
    assert (await one.keys.find("key-1"), await two.keys.find("key-1")) == (KEY, None)
    await two.close()
    assert await one.keys.revoke("key-1", 5) is True
    await one.close()


async def test_a_closed_database_says_so_and_closes_again(url):
    database = await open_database(url)
    await database.close()
    await database.close()
    assert threads() == []
    for call in (
        database.ping(),
        database.keys.find("key-1"),
        database.keys.revoke("key-1", 1),
        database.audit.append([Row(id="event-1")]),
    ):
        with pytest.raises(DatabaseError, match="The database is closed"):
            await call


async def test_ping_notices_that_the_file_is_gone(database, path):
    path.unlink()
    with pytest.raises(DatabaseError, match="moved or replaced"):
        await database.ping()


async def test_a_full_disk_is_an_error_that_passes(database):
    limit = "PRAGMA max_page_count = {}"
    pages = await database._engine.writer.run(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    await database._engine.writer.run(lambda c: c.execute(limit.format(pages)))
    with pytest.raises(DatabaseError, match="disk of the database is full"):
        await database.audit.append([Row(id="event-1", query="x" * 50_000)])
    await database._engine.writer.run(lambda c: c.execute(limit.format(1_000_000)))
    await database.audit.append([Row(id="event-1", query="x" * 50_000)])


def child(program, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def test_the_process_ends_after_an_error_at_start_without_close(url):
    program = """
import asyncio, sys
from service.store.database import open_database
async def main():
    global database
    database = await open_database(sys.argv[1])
    await database.ping()
    raise RuntimeError("the port is taken")
asyncio.run(main())
"""
    done = child(program, url)
    assert done.returncode == 1
    assert "the port is taken" in done.stderr


def test_a_read_only_file_and_directory_are_refused(tmp_path):
    program = """
import asyncio, os, sys
from service.errors import DatabaseError
from service.store.database import open_database
os.chdir(sys.argv[1])
async def main():
    await (await open_database("sqlite:///parley.db")).close()
    os.chmod("parley.db", 0o444), os.chmod(".", 0o555)
    if os.getuid() == 0:
        os.setgid(65534), os.setuid(65534)
    try:
        await open_database("sqlite:///parley.db")
    except DatabaseError as error:
        print(error.detail)
asyncio.run(main())
"""
    done = child(program, tmp_path, env={**os.environ, "PYTHONPATH": os.getcwd()})  # noqa: PTH109 - the repository's root
    assert (done.stdout, done.stderr) == ("The database file cannot be opened: Permission denied.\n", "")
