import asyncio
import sqlite3
import subprocess
import sys

import pytest

from service.errors import DatabaseError
from service.store.database import open_database
from service.store.migration import Migration, read_migrations
from service.store.sqlite.connection import connect
from service.store.sqlite.engine import WalEngine
from service.store.sqlite.location import prepare
from service.store.sqlite.migrate import migrate, statements
from service.store.tables import TABLES, bind

FIRST = Migration(version=1, name="first", sql="CREATE TABLE a (x);\nCREATE TABLE b (x);\n")
SECOND = Migration(version=2, name="second", sql="CREATE TABLE c (x);\n")
BROKEN = Migration(version=2, name="broken", sql="CREATE TABLE c (x);\nINSERT INTO nothing VALUES (1);\n")


@pytest.fixture
def connection(path):
    prepare(path)
    made = connect(path, ("journal_mode=WAL",), 0.2)
    yield made
    made.close()


def tables(connection):
    found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return [name for (name,) in found]


def versions(connection):
    return [
        version for (version,) in connection.execute("SELECT version FROM schema_migration ORDER BY version")
    ]


def test_all_are_applied_in_order_and_recorded(connection):
    migrate([FIRST, SECOND], connection)
    assert tables(connection) == ["a", "b", "c", "schema_migration"]
    assert connection.execute("SELECT version, name, checksum FROM schema_migration").fetchall() == [
        (1, "first", FIRST.checksum),
        (2, "second", SECOND.checksum),
    ]


def test_a_second_time_applies_only_what_is_missing(connection):
    migrate([FIRST], connection)
    migrate([FIRST], connection)
    migrate([FIRST, SECOND], connection)
    assert versions(connection) == [1, 2]


def test_one_that_fails_half_way_leaves_nothing_of_itself(connection):
    with pytest.raises(sqlite3.OperationalError):
        migrate([FIRST, BROKEN], connection)
    assert (tables(connection), versions(connection)) == (["a", "b", "schema_migration"], [1])
    migrate([FIRST, SECOND], connection)
    assert versions(connection) == [1, 2]


def test_a_killed_process_leaves_nothing_half_done(path, connection):
    program = """
import os, sqlite3, sys
from pathlib import Path
from service.store.sqlite.connection import connect
from service.store.migration import Migration
from service.store.sqlite.migrate import migrate
connection = connect(Path(sys.argv[1]), (), 1)
connection.create_function("die", 0, lambda: os.kill(os.getpid(), 9))
migrate([Migration(version=1, name="first", sql="CREATE TABLE a (x);\\nSELECT die();\\n")], connection)
"""
    assert subprocess.run([sys.executable, "-c", program, path], check=False).returncode == -9
    assert tables(connection) == []


def test_a_newer_database_is_refused(connection):
    migrate([FIRST, SECOND], connection)
    with pytest.raises(DatabaseError, match="newer than this program: migration 2"):
        migrate([FIRST], connection)


def test_a_changed_migration_is_refused(connection):
    migrate([FIRST], connection)
    changed = Migration(version=1, name="first", sql=FIRST.sql + "\n")
    with pytest.raises(DatabaseError, match="Migration 1 of the database is not the one"):
        migrate([changed, SECOND], connection)
    assert versions(connection) == [1]


def test_a_gap_in_the_record_is_refused(connection):
    migrate([FIRST, SECOND], connection)
    connection.execute("DELETE FROM schema_migration WHERE version = 1")
    with pytest.raises(DatabaseError, match="Migration 2 of the database is not the one"):
        migrate([FIRST, SECOND], connection)


def test_nothing_to_do_needs_no_write_lock(path, connection):
    migrate([FIRST], connection)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    migrate([FIRST], connection)
    other.close()


def test_statements_keep_triggers_and_semicolons_in_text_whole():
    trigger = "CREATE TRIGGER t AFTER INSERT ON a\nBEGIN\n    SELECT 1;\n    SELECT ';';\nEND;\n"
    text = "INSERT INTO a VALUES ('x;\ny');\n"
    assert list(statements(trigger + text + "-- the end; really\n")) == [
        trigger,
        text,
        "-- the end; really\n",
    ]
    assert list(statements("SELECT 1;\n\n")) == ["SELECT 1;\n"]


def test_the_tables_page_is_what_the_migrations_make(path, connection):
    bind(WalEngine(path, 200))
    migrate(read_migrations("sqlite"), connection)
    for table in TABLES:
        meta = table._meta
        found = connection.execute(
            # With what is generated, which the shorter pragma leaves out.
            'SELECT name, type, "notnull", pk = 1 FROM pragma_table_xinfo(?)',
            (meta.tablename,),
        )
        said = [
            (
                column._meta.db_column_name,
                {"BIGINT": "INTEGER"}.get(column.column_type, column.column_type),
                int(not column._meta.null),
                int(column._meta.primary_key),
            )
            for column in meta.columns
        ]
        assert found.fetchall() == said, meta.tablename


async def test_opening_prints_nothing(url, capfd):
    await (await open_database(url)).close()
    assert capfd.readouterr() == ("", "")


def test_eight_processes_starting_together_all_succeed(url, path):
    program = """
import asyncio, sys
from service.store.database import open_database
async def main():
    database = await open_database(sys.argv[1], busy_timeout_ms=60_000)
    await database.ping()
    await database.close()
print("ready", flush=True)
sys.stdin.readline()
asyncio.run(main())
"""
    children = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", program, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(8)
    ]
    for child in children:
        assert child.stdout.readline() == b"ready\n"
    for child in children:
        child.stdin.write(b"go\n")
        child.stdin.flush()
    assert [(child.communicate(), child.returncode) for child in children] == [((b"", b""), 0)] * 8
    plain = sqlite3.connect(path)
    assert versions(plain) == [migration.version for migration in read_migrations("sqlite")]
    plain.close()


async def test_many_openings_in_one_process_succeed(url):
    opened = await asyncio.gather(*(open_database(url, busy_timeout_ms=60_000) for _ in range(8)))
    for database in opened:
        await database.ping()
        await database.close()
