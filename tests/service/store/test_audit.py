import asyncio
import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import msgspec
import pytest

from service.errors import DatabaseError
from service.store.database import open_database
from tests.service.store.rows import Row, batch_of

CONTRACT = (
    """SELECT * FROM "AuditEvent" WHERE "entityType" = 'AGENT_QUERY' ORDER BY "createdAt" DESC LIMIT 10;"""
)


def ask(path, sql, *arguments):
    with closing(sqlite3.connect(path)) as plain:
        plain.row_factory = sqlite3.Row
        return [dict(row) for row in plain.execute(sql, arguments)]


def run(path, sql, *arguments):
    with closing(sqlite3.connect(path, isolation_level=None)) as plain:
        plain.execute(sql, arguments)


def ids(path):
    return [row["id"] for row in ask(path, "SELECT id FROM audit_event ORDER BY id")]


async def test_the_contracts_query_shows_every_column(database, path):
    row = Row(
        id="event-1",
        outcome="failed",
        category="network",
        code="upstream_timeout",
        count=3,
        metadata='{"cost":1.25,"toolsCalled":["calculate"]}',
    )
    await database.audit.append([row])
    assert ask(path, CONTRACT) == [
        {
            "id": "event-1",
            "entityType": "AGENT_QUERY",
            "entityId": "turn-1",
            "action": "QUERY",
            "actorId": "user-1",
            "metadata": '{"cost":1.25,"toolsCalled":["calculate"],"query":"How much did we spend?"}',
            "createdAt": "2025-11-24T16:00:00.123Z",
            "role": "CFO",
            "outcome": "failed",
            "category": "network",
            "code": "upstream_timeout",
            "model": "model-1",
            "traceId": "0af7651916cd43dd8448eb211c80319c",
            "requestId": "request-1",
            "inputTokens": 100,
            "outputTokens": 20,
            "totalTokens": 120,
            "cost": 1.25,
            "costMicros": 1_250_000,
            "responseTime": 1500,
            "count": 3,
        }
    ]


async def test_what_was_not_known_is_null(database, path):
    await database.audit.append(
        [Row(id="event-1", actor_id=None, role=None, model=None, response_time_ms=None, query=None)]
    )
    (found,) = ask(path, CONTRACT)
    assert [found[name] for name in ("actorId", "role", "model", "responseTime")] == [None] * 4
    assert json.loads(found["metadata"]) == {"outcome": "answered", "query": None}
    assert ask(path, "SELECT * FROM audit_content") == []


async def test_the_contracts_query_takes_the_newest_ten_of_its_kind_without_sorting(database, path):
    second = 1_000_000
    await database.audit.append([Row(id=f"e{n:02}", created_at=(n * 7 % 25) * second) for n in range(25)])
    await database.audit.append([Row(id="other", entity_type="API_KEY", created_at=99 * second)])
    assert [row["createdAt"][-7:] for row in ask(path, CONTRACT)] == [
        f"{n:02}.000Z" for n in range(24, 14, -1)
    ]
    plan = " ".join(row["detail"] for row in ask(path, "EXPLAIN QUERY PLAN " + CONTRACT))
    assert "audit_event_entity_type" in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (999_999, "1970-01-01T00:00:00.999Z"),
        (1_709_164_800_001_000, "2024-02-29T00:00:00.001Z"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999Z"),
    ],
)
async def test_times_are_iso_8601_in_utc_with_milliseconds(database, path, micros, text):
    await database.audit.append([Row(id="event-1", created_at=micros)])
    assert ask(path, CONTRACT)[0]["createdAt"] == text


async def test_the_table_and_the_view_are_two_things(database, path):
    await database.audit.append([Row(id="event-1")])
    assert "entity_type" in ask(path, "SELECT * FROM AUDIT_EVENT")[0]
    assert "entityType" in ask(path, "SELECT * FROM auditevent")[0]


async def test_appending_again_changes_nothing(database, path):
    await database.audit.append([Row(id="event-1")])
    await database.audit.append([Row(id="event-1", action="CHANGED", query="changed"), Row(id="event-2")])
    found = ask(path, 'SELECT id, action, metadata FROM "AuditEvent" ORDER BY id')
    assert [(row["id"], row["action"]) for row in found] == [("event-1", "QUERY"), ("event-2", "QUERY")]
    assert json.loads(found[0]["metadata"])["query"] == "How much did we spend?"


async def test_an_id_twice_in_one_batch_is_one_row(database, path):
    await database.audit.append([Row(id="event-1"), Row(id="event-1")])
    assert ids(path) == ["event-1"]


async def test_erased_content_is_not_brought_back_by_a_replay(database, path):
    await database.audit.append([Row(id="event-1")])
    run(path, "UPDATE audit_content SET query = NULL WHERE event_id = 'event-1'")
    await database.audit.append([Row(id="event-1")])
    (found,) = ask(path, CONTRACT)
    assert json.loads(found["metadata"]) == {"outcome": "answered", "query": None, "content": "erased"}


async def test_nothing_to_append_needs_no_lock(database, path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await database.audit.append([])


@pytest.mark.parametrize(
    "poison",
    [
        {"metadata": "no json"},
        {"metadata": ""},
        {"metadata": "[1]"},
        {"metadata": '{"half":'},
        {"count": 0},
        {"created_at": -1},
        {"created_at": 253_402_300_800_000_000},
        {"created_at": None},
        {"created_at": "yesterday"},
        {"input_tokens": 2**63},
        {"id": None},
        {"entity_type": None},
        {"actor_id": ["a", {"b": object()}]},
        {"role": object()},
    ],
)
async def test_a_row_that_cannot_be_kept_fails_its_batch_whole(database, path, poison):
    bad = msgspec.structs.replace(Row(id="bad"), **poison)
    with pytest.raises((DatabaseError, TypeError, ValueError)):
        await database.audit.append([Row(id="good"), bad])
    assert ids(path) == []
    await database.audit.append([Row(id="good")])
    assert ids(path) == ["good"]


@pytest.mark.parametrize("field", ["id", "actor_id", "role", "model", "request_id", "query"])
async def test_text_no_database_holds_is_written_out(database, path, field):
    odd = msgspec.structs.replace(Row(id="event-1"), **{field: "a\0b\ud800c"})
    await database.audit.append([odd])
    event = ask(path, "SELECT * FROM audit_event JOIN audit_content ON event_id = id")[0]
    assert event[field] == "a\\u0000b\\ud800c"


async def test_odd_metadata_stays_json(database, path):
    await database.audit.append([Row(id="event-1", metadata='{"a":"x\ud800y","b":"\\u0000"}')])
    assert json.loads(ask(path, CONTRACT)[0]["metadata"])["a"] == "x\ud800y"


async def test_long_and_foreign_text_comes_back_as_it_was(database, path):
    text = "'; DROP TABLE audit_event; -- \U0001f600 \u202e {} ? :x \n\t" + "ü" * 32_000
    await database.audit.append([Row(id="event-1", query=text)])
    assert json.loads(ask(path, CONTRACT)[0]["metadata"])["query"] == text


async def test_two_hundred_concurrent_batches_all_arrive(database, path):
    await asyncio.gather(*(database.audit.append(batch_of(f"b{n:03}", 3)) for n in range(200)))
    assert ids(path) == [f"b{n:03}-{m:04d}" for n in range(200) for m in range(3)]


async def test_a_batch_larger_than_one_statement_may_be(database, path):
    await database.audit.append(batch_of("large", 5_000))
    assert len(ids(path)) == 5_000


async def test_cancelled_batches_are_whole_or_absent(database, path):
    for number in range(30):
        task = asyncio.create_task(database.audit.append(batch_of(f"b{number:03}", 50)))
        await asyncio.sleep(number / 20_000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await database.audit.append([Row(id="last")])
    found = ask(path, "SELECT count(*) AS n FROM audit_event WHERE id <> 'last' GROUP BY substr(id, 1, 4)")
    assert {row["n"] for row in found} <= {50}


async def test_a_key_is_found_while_a_batch_waits_for_the_lock(database, path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(database.audit.append([Row(id="event-1")]))
        assert await database.keys.find("nobody") is None
        await database.ping()
        assert not waiting.done()
        other.execute("ROLLBACK")
    await waiting
    assert ids(path) == ["event-1"]


def test_a_killed_writer_leaves_whole_batches_only(url, path):
    program = """
import asyncio, sys
from service.store.database import open_database
from tests.service.store.rows import batch_of
async def main():
    database = await open_database(sys.argv[1])
    for number in range(1_000_000):
        await database.audit.append(batch_of(f"b{number:06d}", 500))
        print(number, flush=True)
asyncio.run(main())
"""
    confirmed = 0
    for wanted in range(3, 8):
        with subprocess.Popen([sys.executable, "-c", program, url], stdout=subprocess.PIPE) as child:
            for _ in range(wanted):
                confirmed = int(child.stdout.readline())
            child.kill()
        assert child.returncode == -9
    found = ask(
        path,
        "SELECT substr(event.id, 1, 7) AS batch, count(*) AS events, count(event_id) AS contents"
        " FROM audit_event AS event LEFT JOIN audit_content ON event_id = event.id GROUP BY 1 ORDER BY 1",
    )
    assert {(row["events"], row["contents"]) for row in found} == {(500, 500)}
    assert [row["batch"] for row in found][: confirmed + 1] == [f"b{n:06d}" for n in range(confirmed + 1)]
    assert ask(path, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]


async def test_two_processes_worth_of_databases_write_the_same_file(url, path):
    first, second = [await open_database(url, busy_timeout_ms=60_000) for _ in range(2)]
    await asyncio.gather(
        *(one.audit.append(batch_of(f"b{n:02}", 20)) for n in range(20) for one in (first, second))
    )
    await first.close()
    await second.close()
    assert len(ids(path)) == 400
