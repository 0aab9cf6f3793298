"""What every database must do, whichever engine is under it."""

import asyncio

import msgspec
import pytest
from msgspec import Struct
from piccolo.querystring import QueryString

from service.errors import DatabaseError
from service.store.database import open_database
from service.store.keys import StoredKey
from tests.harness.sql import ask

CONTRACT = (
    """SELECT * FROM "AuditEvent" WHERE "entityType" = 'AGENT_QUERY' ORDER BY "createdAt" DESC LIMIT 10;"""
)
KEY = StoredKey(
    id="key-1", user_id="user-1", role="CFO", scopes=("audit:content",), digest="ab", created_at=1
)


class Row(Struct, frozen=True, kw_only=True):
    id: str
    entity_type: str = "AGENT_QUERY"
    entity_id: str = "turn-1"
    action: str = "QUERY"
    actor_id: str | None = "user-1"
    role: str | None = "CFO"
    outcome: str | None = "answered"
    category: str | None = None
    code: str | None = None
    model: str | None = "model-1"
    trace_id: str | None = None
    request_id: str | None = None
    input_tokens: int = 3
    output_tokens: int = 4
    cost_micros: int = 5
    response_time_ms: int | None = 6
    count: int = 1
    metadata: str = "{}"
    query: str | None = "How much?"
    writer: str | None = None
    writer_seq: int | None = None
    writer_low: int | None = None
    arguments: str | None = None
    lease: str | None = None
    charged_micros: int = 0
    created_at: int = 1_764_000_000_123_456


@pytest.fixture
async def database(database_url):
    opened = await open_database(database_url)
    yield opened
    await opened.close()


async def shown(database):
    return await database._engine.run_querystring(QueryString(CONTRACT))


async def test_the_contracts_query_shows_what_was_appended(database):
    await database.audit.append([Row(id="event-1")])
    (found,) = await shown(database)
    assert (found["id"], found["createdAt"]) == ("event-1", "2025-11-24T16:00:00.123Z")
    assert (found["totalTokens"], found["costMicros"], found["cost"]) == (7, 5, 0.000005)
    assert found["metadata"].replace(" ", "") == '{"query":"Howmuch?"}'


async def test_an_event_is_written_once(database):
    for _ in range(3):
        await database.audit.append([Row(id="event-1"), Row(id="event-2")])
    assert len(await shown(database)) == 2


async def test_a_batch_is_written_whole_or_not_at_all(database):
    with pytest.raises(DatabaseError):
        await database.audit.append([Row(id="event-1"), Row(id="event-2", metadata="no json")])
    assert await shown(database) == []


async def test_concurrent_batches_all_arrive(database):
    await asyncio.gather(*(database.audit.append([Row(id=f"event-{n}")]) for n in range(50)))
    found = await database._engine.run_querystring(QueryString("SELECT count(*) AS n FROM audit_event"))
    assert found == [{"n": 50}]


async def test_text_no_database_holds_is_kept_visibly(database):
    await database.audit.append([Row(id="event-1", actor_id="a\0b\ud800")])
    assert (await shown(database))[0]["actorId"] == "a\\u0000b\\ud800"


async def test_a_key_lives_and_is_revoked_once(database):
    await database.keys.add(KEY)
    assert await database.keys.find("key-1") == KEY
    assert [await database.keys.revoke("key-1", at) for at in (5, 6)] == [True, False]
    assert [key.revoked_at for key in await database.keys.list()] == [5]


async def test_a_key_is_added_once(database):
    await database.keys.add(KEY)
    with pytest.raises(DatabaseError):
        await database.keys.add(KEY)


async def test_after_the_close_everything_is_an_error(database_url):
    database = await open_database(database_url)
    await database.close()
    await database.close()
    for call in (
        database.ping(),
        database.keys.find("key-1"),
        database.keys.revoke("key-1", 1),
        database.audit.append([Row(id="event-1")]),
    ):
        with pytest.raises(DatabaseError, match="The database is closed"):
            await call


async def test_what_was_written_is_there_after_opening_again(database_url):
    first = await open_database(database_url)
    await first.keys.add(KEY)
    await first.close()
    second = await open_database(database_url)
    assert await second.keys.find("key-1") == KEY
    await second.close()


async def test_two_open_databases_see_the_same(database, database_url):
    other = await open_database(database_url)
    await database.keys.add(KEY)
    assert await other.keys.find("key-1") == KEY
    await other.close()


async def say(database, sql, *arguments):
    return await database._engine.run_querystring(QueryString(sql, *arguments))


async def add(database, key_id):
    await database.keys.add(msgspec.structs.replace(KEY, id=key_id))


async def ids(database):
    return [key.id for key in await database.keys.list()]


async def test_a_transaction_lasts_at_its_end_and_is_not_seen_before(database, database_url):
    async with database._engine.transaction():
        await add(database, "key-1")
        assert await ids(database) == ["key-1"]
        assert ask(database_url, "SELECT id FROM api_key") == []
    assert ask(database_url, "SELECT id FROM api_key") == [{"id": "key-1"}]


async def test_a_transaction_is_undone_by_an_error_of_anybodys(database):
    async def fail(error):
        async with database._engine.transaction():
            await add(database, "key-1")
            raise error

    for error in (KeyError("ours"), OSError("a file's")):
        with pytest.raises(type(error)):
            await fail(error)
    assert await ids(database) == []


async def test_a_failed_statement_undoes_its_transaction(database):
    async def fail():
        async with database._engine.transaction():
            await add(database, "key-1")
            await add(database, "key-1")

    with pytest.raises(DatabaseError, match="refused the data"):
        await fail()
    assert await ids(database) == []


async def test_batches_inside_a_transaction_are_part_of_it(database):
    async def fail():
        async with database._engine.transaction():
            await database.audit.append([Row(id="event-1")])
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert await shown(database) == []


async def test_a_transaction_does_not_nest(database):
    async with database._engine.transaction():
        with pytest.raises(DatabaseError, match="already open"):
            async with database._engine.transaction():
                pytest.fail("nested")
        await add(database, "key-1")
    assert await ids(database) == ["key-1"]


async def test_another_task_may_not_use_a_transaction(database):
    async with database._engine.transaction():
        with pytest.raises(DatabaseError, match="belongs to the task"):
            await asyncio.create_task(add(database, "key-1"))
    assert await ids(database) == []


async def test_what_a_transaction_read_is_still_so_when_it_writes(database, database_url):
    async def draw(opened):
        async with opened._engine.transaction():
            (found,) = await say(opened, "SELECT COUNT(*) AS n FROM api_key")
            await asyncio.sleep(0)
            await add(opened, f"key-{found['n']:02}")

    other = await open_database(database_url, busy_timeout_ms=60_000)
    await asyncio.gather(*(draw(opened) for _ in range(10) for opened in (database, other)))
    await other.close()
    assert sorted(await ids(database)) == [f"key-{number:02}" for number in range(20)]


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_cancelled_transaction_is_undone_and_lets_the_next_one_in(database, times):
    entered = asyncio.Event()

    async def hang():
        async with database._engine.transaction():
            await add(database, "half")
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await entered.wait()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    async with database._engine.transaction():
        await add(database, "next")
    assert await ids(database) == ["next"]


async def test_cancelled_anywhere_a_transaction_is_whole_or_absent(database):
    async def twice(number):
        async with database._engine.transaction():
            await add(database, f"{number:03}-a")
            await add(database, f"{number:03}-b")

    for number in range(40):
        task = asyncio.create_task(twice(number))
        await asyncio.sleep(number / 10_000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with database._engine.transaction():
        found = [key_id[:3] for key_id in await ids(database)]
    assert all(found.count(number) == 2 for number in found)


async def test_the_view_has_the_same_columns_and_kinds_of_values(database):
    await database.audit.append([Row(id="event-1")])
    (found,) = await shown(database)
    assert {name: type(value).__name__ for name, value in found.items()} == {
        "id": "str",
        "entityType": "str",
        "entityId": "str",
        "action": "str",
        "actorId": "str",
        "metadata": "str",
        "createdAt": "str",
        "role": "str",
        "outcome": "str",
        "category": "NoneType",
        "code": "NoneType",
        "model": "str",
        "traceId": "NoneType",
        "requestId": "NoneType",
        "inputTokens": "int",
        "outputTokens": "int",
        "totalTokens": "int",
        "cost": "float",
        "costMicros": "int",
        "responseTime": "int",
        "count": "int",
        "logIndex": "int",
        "tenant": "NoneType",
    }


async def test_order_is_that_of_bytes_whatever_the_servers_locale(database):
    for key_id in ("b", "A", "a", "B", "_", "ä"):
        await add(database, key_id)
    assert await ids(database) == ["A", "B", "_", "a", "b", "ä"]
