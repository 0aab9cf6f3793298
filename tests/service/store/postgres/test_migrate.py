import asyncio
import subprocess
import sys

import asyncpg
import pytest

from service.errors import DatabaseError
from service.store.database import open_database
from service.store.migration import Migration, read_migrations
from service.store.postgres.migrate import migrate
from service.store.tables import TABLES
from tests.harness.sql import ask

FIRST = Migration(version=1, name="first", sql="CREATE TABLE a (x TEXT);\nCREATE TABLE b (x TEXT);\n")
SECOND = Migration(version=2, name="second", sql="CREATE TABLE c (x TEXT);\n")
BROKEN = Migration(version=2, name="broken", sql="CREATE TABLE c (x TEXT);\nSELECT 1 / 0;\n")


@pytest.fixture
async def line(url):
    made = await asyncpg.connect(url)
    yield made
    await made.close()


def tables(url):
    found = ask(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    return [row["tablename"] for row in found]


def versions(url):
    return [row["version"] for row in ask(url, "SELECT version FROM schema_migration ORDER BY version")]


async def test_all_are_applied_in_order_and_recorded(line, url):
    await migrate([FIRST, SECOND], line)
    assert tables(url) == ["a", "b", "c", "schema_migration"]
    assert ask(url, "SELECT version, name, checksum FROM schema_migration ORDER BY version") == [
        {"version": 1, "name": "first", "checksum": FIRST.checksum},
        {"version": 2, "name": "second", "checksum": SECOND.checksum},
    ]


async def test_a_second_time_applies_only_what_is_missing(line, url):
    await migrate([FIRST], line)
    await migrate([FIRST], line)
    await migrate([FIRST, SECOND], line)
    assert versions(url) == [1, 2]


async def test_one_that_fails_half_way_leaves_nothing_of_itself(line, url):
    with pytest.raises(DatabaseError):
        await migrate([FIRST, BROKEN], line)
    await line.execute("ROLLBACK")
    assert (tables(url), versions(url)) == (["a", "b", "schema_migration"], [1])
    await migrate([FIRST, SECOND], line)
    assert versions(url) == [1, 2]


async def test_a_changed_one_is_refused(line, url):
    await migrate([FIRST], line)
    changed = Migration(version=1, name="first", sql=FIRST.sql + "\n")
    with pytest.raises(DatabaseError, match="Migration 1 of the database is not the one"):
        await migrate([changed, SECOND], line)
    assert versions(url) == [1]


async def test_nothing_to_do_needs_neither_lock_nor_rights(url, postgres):
    await (await open_database(url)).close()
    database = url.rpartition("/")[2]
    reader = f"reader_{database}"
    postgres.sql(f"CREATE ROLE {reader} LOGIN PASSWORD 'x'", database)
    postgres.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}", database)
    opened = await open_database(f"postgresql://{reader}:x@127.0.0.1:{postgres.port}/{database}")
    assert await opened.keys.find("key-1") is None
    await opened.close()


async def test_a_killed_process_leaves_nothing_half_done(url):
    program = """
import asyncio, asyncpg, os, sys
from service.store.migration import Migration
from service.store.postgres.migrate import migrate
class Dying(asyncpg.Connection):
    async def execute(self, sql, *arguments):
        await super().execute(sql, *arguments)
        if "CREATE TABLE a" in sql:
            os.kill(os.getpid(), 9)
async def main():
    line = await asyncpg.connect(sys.argv[1], connection_class=Dying)
    await migrate([Migration(version=1, name="first", sql="CREATE TABLE a (x TEXT);")], line)
asyncio.run(main())
"""
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program, url], check=False)
    assert done.returncode == -9
    await (await open_database(url)).close()
    assert "a" not in tables(url)


INDEXED = {("audit_content", "words")}
"""Columns for an index alone, where SQLite has a table of its own."""


def test_the_tables_page_is_what_the_migrations_make(url):
    asyncio.run(opened_and_closed(url))
    for table in TABLES:
        meta = table._meta
        found = ask(
            url,
            """SELECT column_name, data_type, is_nullable FROM information_schema.columns
            WHERE table_name = $1 ORDER BY ordinal_position""",
            meta.tablename,
        )
        said = [
            {
                "column_name": column._meta.db_column_name,
                "data_type": column.column_type.lower(),
                "is_nullable": "YES" if column._meta.null else "NO",
            }
            for column in meta.columns
        ]
        only_here = [column for column in found if (meta.tablename, column["column_name"]) in INDEXED]
        assert [column for column in found if column not in only_here] == said, meta.tablename


async def opened_and_closed(url):
    await (await open_database(url)).close()


async def test_opening_prints_nothing(url, capfd):
    await opened_and_closed(url)
    assert capfd.readouterr() == ("", "")


def test_eight_processes_starting_together_all_succeed(url):
    program = """
import asyncio, sys
from service.store.database import open_database
async def main():
    database = await open_database(sys.argv[1])
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
    assert versions(url) == [migration.version for migration in read_migrations("postgres")]


async def test_many_openings_in_one_process_succeed(url):
    opened = await asyncio.gather(*(open_database(url) for _ in range(8)))
    for database in opened:
        await database.ping()
        await database.close()
