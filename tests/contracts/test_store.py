"""What every database must do, whichever engine is under it."""

import asyncio

import pytest
from msgspec import Struct
from piccolo.querystring import QueryString

from service.errors import DatabaseError
from service.store.database import open_database
from service.store.keys import StoredKey

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
    created_at: int = 1_764_000_000_123_456


@pytest.fixture(params=["sqlite"])
def url(request, tmp_path):
    return {"sqlite": f"sqlite:///{tmp_path}/parley.db"}[request.param]


@pytest.fixture
async def database(url):
    opened = await open_database(url)
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


async def test_after_the_close_everything_is_an_error(url):
    database = await open_database(url)
    await database.close()
    await database.close()
    with pytest.raises(DatabaseError):
        await database.ping()
