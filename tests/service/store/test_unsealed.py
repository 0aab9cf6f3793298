import asyncio
import json
import subprocess
import sys

import pytest

from service.errors import DatabaseError
from service.seal.leaf import COLUMNS, GENESIS, canonical, chain_hash, leaf_hash
from service.seal.vault import Vault
from service.store.audit import AuditStore
from service.store.database import open_database
from service.store.filters import Filters
from service.store.unsealed import import_unsealed
from tests.harness.sql import ask
from tests.service.store.earlier import engine_at, make_earlier

SIZE = 1_234
SEEN = 'SELECT id, "actorId", metadata, "createdAt" FROM "AuditEvent" ORDER BY id'


def seen(url):
    return [row | {"metadata": json.loads(row["metadata"])} for row in ask(url, SEEN)]


def assert_the_log_holds(url, size):
    """Worked out from the columns alone."""
    rows = ask(url, "SELECT * FROM audit_event ORDER BY log_index")
    assert [row["log_index"] for row in rows] == list(range(size))
    chain = GENESIS
    for row in rows:
        leaf = leaf_hash(canonical([row[column] for column in COLUMNS]))
        chain = chain_hash(chain, leaf)
        assert (row["leaf_hash"], row["chain_hash"]) == (leaf, chain)


def left_of(url):
    for table in ("audit_event_unsealed", "audit_content_unsealed"):
        with pytest.raises(Exception, match=table):
            ask(url, f"SELECT * FROM {table}")  # noqa: S608 - our own names


@pytest.fixture
async def earlier(url):
    await asyncio.to_thread(make_earlier, url, SIZE)
    return seen(url)


async def test_a_database_of_the_earlier_form_comes_over_whole(url, earlier):
    database = await open_database(url)
    assert seen(url) == earlier
    states = {event["metadata"].get("content") for event in earlier}
    assert states == {None, "erased"}
    assert_the_log_holds(url, SIZE)
    left_of(url)
    page = await database.questions.events(Filters(q="WHAT of 7"), 10)
    assert [event.id for event in page.events] == ["e00007"]
    assert len((await database.questions.events(Filters(tool="tool-1"), 2_000)).events) == SIZE // 2
    await database.close()


async def test_what_was_erased_stays_erased_and_is_told_from_what_was_never_said(url, earlier):
    await (await open_database(url)).close()
    found = ask(
        url,
        "SELECT event.id, event.commitment, content.log_index, content.query, content.salt"
        " FROM audit_event AS event LEFT JOIN audit_content AS content ON content.log_index = event.log_index"
        " WHERE event.id IN ('e00003', 'e00004', 'e00005') ORDER BY event.id",
    )
    unsaid, said, erased = found
    assert (unsaid["commitment"], unsaid["log_index"]) == (None, None)
    assert (len(said["commitment"]), said["query"]) == (32, "What of 4?")
    assert (erased["log_index"], *map(erased.get, ("query", "salt", "commitment"))) == (5, None, None, None)
    by_id = {event["id"]: event["metadata"] for event in earlier}
    assert ("content" in by_id["e00003"], by_id["e00005"]["content"]) == (False, "erased")


async def test_many_at_once_bring_each_row_over_once(url, earlier):
    opened = await asyncio.gather(*(open_database(url, busy_timeout_ms=60_000) for _ in range(4)))
    for database in opened:
        await database.close()
    assert seen(url) == earlier
    assert_the_log_holds(url, SIZE)
    left_of(url)


async def test_killed_in_the_middle_it_goes_on_where_it_was(url, earlier):
    program = """
import asyncio, os, sys
from service.seal.vault import Vault
from service.store.audit import AuditStore
from service.store.unsealed import import_unsealed
from tests.service.store.earlier import engine_at
class Dying(AuditStore):
    async def append(self, rows):
        await super().append(rows)
        if self.size > 900:
            os.kill(os.getpid(), 9)
async def main():
    engine = await engine_at(sys.argv[1])
    await import_unsealed(engine, Dying(engine, Vault()))
asyncio.run(main())
"""
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program, url], check=False)
    assert done.returncode == -9
    (found,) = ask(url, "SELECT count(*) AS rows FROM audit_event")
    assert found["rows"] == 1_000
    await (await open_database(url)).close()
    assert seen(url) == earlier
    assert_the_log_holds(url, SIZE)
    left_of(url)


class Losing(AuditStore):
    async def append(self, rows):
        return await super().append([row for row in rows if row.id != "e00700"])


async def test_nothing_is_dropped_while_a_row_is_missing(url, earlier):
    engine = await engine_at(url)
    with pytest.raises(DatabaseError, match="could not be brought"):
        await import_unsealed(engine, Losing(engine, Vault()))
    await engine.close()
    await (await open_database(url)).close()
    assert {event["id"] for event in seen(url)} == {event["id"] for event in earlier}


async def test_a_database_of_before_tools_had_rows_gets_its_tools(url):
    await asyncio.to_thread(make_earlier, url, 3, version=4)
    odd = json.dumps({"toolsCalled": [1, None, "a", "a"]})
    ask(url, f"UPDATE audit_event SET metadata = '{odd}' WHERE id = 'e00001'")  # noqa: S608 - our own
    await (await open_database(url)).close()
    found = ask(
        url,
        "SELECT event.id, called.tool FROM audit_event_tool AS called JOIN audit_event AS event"
        " ON event.log_index = called.log_index ORDER BY event.id, called.tool",
    )
    assert [(row["id"], row["tool"]) for row in found] == [
        ("e00000", "calculate"),
        ("e00000", "tool-0"),
        ("e00001", "a"),
        ("e00002", "calculate"),
        ("e00002", "tool-0"),
    ]
