import asyncio
import json
import subprocess
import sys

import msgspec
import pytest

from service.errors import DatabaseError, RowRefused
from service.store.database import open_database
from tests.harness.sql import ask, locked
from tests.service.store.rows import Row, batch_of

CONTRACT = (
    """SELECT * FROM "AuditEvent" WHERE "entityType" = 'AGENT_QUERY' ORDER BY "createdAt" DESC LIMIT 10;"""
)


def ids(url):
    return [row["id"] for row in ask(url, "SELECT id FROM audit_event ORDER BY id")]


async def test_the_contracts_query_shows_every_column(database, url):
    row = Row(
        id="event-1",
        actor_id="acme\x1fuser-1",
        outcome="failed",
        category="network",
        code="upstream_timeout",
        count=3,
        metadata='{"cost":1.25,"tenant":"acme","toolsCalled":["calculate"]}',
    )
    await database.audit.append([row])
    (found,) = ask(url, CONTRACT)
    assert json.loads(found["metadata"]) == {
        "cost": 1.25,
        "tenant": "acme",
        "toolsCalled": ["calculate"],
        "query": "How much did we spend?",
    }
    assert list((found | {"metadata": None}).items()) == list(
        {
            "id": "event-1",
            "entityType": "AGENT_QUERY",
            "entityId": "turn-1",
            "action": "QUERY",
            "actorId": "user-1",
            "metadata": None,
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
            "logIndex": 0,
            "tenant": "acme",
        }.items()
    )


async def test_what_was_not_known_is_null(database, url):
    await database.audit.append(
        [Row(id="event-1", actor_id=None, role=None, model=None, response_time_ms=None, query=None)]
    )
    (found,) = ask(url, CONTRACT)
    assert [found[name] for name in ("actorId", "role", "model", "responseTime")] == [None] * 4
    assert json.loads(found["metadata"]) == {"outcome": "answered", "query": None}
    assert ask(url, "SELECT * FROM audit_content") == []


async def test_the_contracts_query_takes_the_newest_ten_of_its_kind(database, url):
    second = 1_000_000
    await database.audit.append([Row(id=f"e{n:02}", created_at=(n * 7 % 25) * second) for n in range(25)])
    await database.audit.append([Row(id="other", entity_type="API_KEY", created_at=99 * second)])
    assert [row["createdAt"][-7:] for row in ask(url, CONTRACT)] == [
        f"{n:02}.000Z" for n in range(24, 14, -1)
    ]


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (999_999, "1970-01-01T00:00:00.999Z"),
        (1_709_164_800_001_000, "2024-02-29T00:00:00.001Z"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999Z"),
    ],
)
async def test_times_are_iso_8601_in_utc_with_milliseconds(database, url, micros, text):
    await database.audit.append([Row(id="event-1", created_at=micros)])
    assert ask(url, CONTRACT)[0]["createdAt"] == text


async def test_metadata_is_json_to_both_engines(database, url):
    await database.audit.append([Row(id="event-1"), Row(id="event-2", metadata='{"outcome":"failed"}')])
    found = ask(url, """SELECT id FROM "AuditEvent" WHERE metadata->>'outcome' = 'failed'""")
    assert found == [{"id": "event-2"}]


async def test_appending_again_changes_nothing(database, url):
    await database.audit.append([Row(id="event-1")])
    await database.audit.append([Row(id="event-1", action="CHANGED", query="changed"), Row(id="event-2")])
    found = ask(url, 'SELECT id, action, metadata FROM "AuditEvent" ORDER BY id')
    assert [(row["id"], row["action"]) for row in found] == [("event-1", "QUERY"), ("event-2", "QUERY")]
    assert json.loads(found[0]["metadata"])["query"] == "How much did we spend?"


async def test_an_id_twice_in_one_batch_is_one_row(database, url):
    await database.audit.append([Row(id="event-1"), Row(id="event-1")])
    assert ids(url) == ["event-1"]


async def test_erased_content_is_not_brought_back_by_a_replay(database, url):
    await database.audit.append([Row(id="event-1")])
    words = "" if url.startswith("sqlite") else ", words = NULL"
    ask(url, f"UPDATE audit_content SET query = NULL, salt = NULL{words} WHERE log_index = 0")  # noqa: S608 - our own
    await database.audit.append([Row(id="event-1")])
    (found,) = ask(url, CONTRACT)
    assert json.loads(found["metadata"]) == {"outcome": "answered", "query": None, "content": "erased"}


async def test_nothing_to_append_needs_no_lock(database, url):
    async with locked(url, "audit_event"):
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
async def test_a_row_that_cannot_be_kept_fails_its_batch_whole(database, url, poison):
    bad = msgspec.structs.replace(Row(id="bad"), **poison)
    with pytest.raises((DatabaseError, TypeError, ValueError)):
        await database.audit.append([Row(id="good"), bad])
    assert ids(url) == []
    await database.audit.append([Row(id="good")])
    assert ids(url) == ["good"]


@pytest.mark.parametrize("field", ["id", "actor_id", "role", "model", "request_id", "query"])
async def test_text_no_database_holds_is_written_out(database, url, field):
    odd = msgspec.structs.replace(Row(id="event-1"), **{field: "a\0b\ud800c"})
    await database.audit.append([odd])
    event = ask(
        url,
        """SELECT event.id, user_id AS actor_id, role, model, request_id, query FROM audit_event AS event
        JOIN audit_content AS content ON content.log_index = event.log_index
        JOIN audit_subject AS subject ON subject.id = event.subject_id""",
    )[0]
    assert event[field] == "a\\u0000b\\ud800c"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x\ud800y", "x\\ud800y"),
        (r"x\ud800y", r"x\ud800y"),
        (r"x\u0000y", r"x\u0000y"),
        (r"x\\u0000y", r"x\u0000y"),
        (r"x\uDBFF\uDFFFy", "x\U0010ffffy"),
        (r"x\udc00\ud800", r"x\udc00\ud800"),
        (r"x\ud800\ud83e\uddea", "x\\ud800\U0001f9ea"),
    ],
)
async def test_odd_metadata_stays_json_that_every_database_reads(database, url, text, shown):
    await database.audit.append([Row(id="event-1", metadata=f'{{"a":"{text}"}}')])
    (found,) = ask(url, """SELECT metadata->>'a' AS a, metadata FROM "AuditEvent" """)
    assert found["a"] == json.loads(found["metadata"])["a"] == shown


async def test_long_and_foreign_text_comes_back_as_it_was(database, url):
    text = "'; DROP TABLE audit_event; -- \U0001f600 \u202e {} ? :x \n\t" + "ü" * 32_000
    await database.audit.append([Row(id="event-1", query=text)])
    assert json.loads(ask(url, CONTRACT)[0]["metadata"])["query"] == text


async def test_two_hundred_concurrent_batches_all_arrive(database, url):
    await asyncio.gather(*(database.audit.append(batch_of(f"b{n:03}", 3)) for n in range(200)))
    assert ids(url) == [f"b{n:03}-{m:04d}" for n in range(200) for m in range(3)]


async def test_a_batch_larger_than_one_statement_may_be(database, url):
    await database.audit.append(batch_of("large", 5_000))
    assert len(ids(url)) == 5_000


async def test_cancelled_batches_are_whole_or_absent(database, url):
    for number in range(30):
        task = asyncio.create_task(database.audit.append(batch_of(f"b{number:03}", 50)))
        await asyncio.sleep(number / 20_000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await database.audit.append([Row(id="last")])
    found = ask(url, "SELECT count(*) AS n FROM audit_event WHERE id <> 'last' GROUP BY substr(id, 1, 4)")
    assert {row["n"] for row in found} <= {50}


async def test_a_key_is_found_while_a_batch_waits_for_the_lock(database, url):
    async with locked(url, "audit_event"):
        waiting = asyncio.create_task(database.audit.append([Row(id="event-1")]))
        assert await database.keys.find("nobody") is None
        await database.ping()
        assert not waiting.done()
    await waiting
    assert ids(url) == ["event-1"]


def test_a_killed_writer_leaves_whole_batches_only(url):
    program = """
import asyncio, sys
from service.store.database import open_database
from tests.harness.sql import ask, locked
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
        url,
        "SELECT substr(event.id, 1, 7) AS batch, count(*) AS events, count(content.log_index) AS contents"
        " FROM audit_event AS event LEFT JOIN audit_content AS content ON content.log_index = event.log_index"
        " GROUP BY 1 ORDER BY 1",
    )
    assert {(row["events"], row["contents"]) for row in found} == {(500, 500)}
    assert [row["batch"] for row in found][: confirmed + 1] == [f"b{n:06d}" for n in range(confirmed + 1)]


async def test_two_processes_worth_of_databases_write_the_same_file(url):
    first, second = [await open_database(url, busy_timeout_ms=60_000) for _ in range(2)]
    await asyncio.gather(
        *(one.audit.append(batch_of(f"b{n:02}", 20)) for n in range(20) for one in (first, second))
    )
    await first.close()
    await second.close()
    assert len(ids(url)) == 400


@pytest.mark.parametrize(
    "facts",
    [
        {"count": 0},
        {"metadata": "[]"},
        {"metadata": "{"},
        {"created_at": -1},
        {"input_tokens": 2**63},
        {"action": None},
    ],
)
async def test_a_row_that_no_attempt_will_write_is_told_from_a_database_that_is_away(database, url, facts):
    with pytest.raises(RowRefused):
        await database.audit.append([Row(id="event-1"), Row(id="event-2", **facts)])
    await database.audit.append([Row(id="event-3")])
    assert ids(url) == ["event-3"]


async def test_a_closed_database_refuses_no_row(database):
    await database.close()
    with pytest.raises(DatabaseError) as caught:
        await database.audit.append([Row(id="event-1")])
    assert not isinstance(caught.value, RowRefused)
