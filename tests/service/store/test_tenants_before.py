"""A database in which tenants were claims of tokens only becomes one in which they are apart.

Refuses to move what may be two people's, or has a credential that names no tenant.
"""

import pytest

from service.store.database import open_database
from service.store.filters import Filters
from telemetry.person import person_of
from tests.harness.sql import SQLITE, ask
from tests.service.store.earlier import engine_at

BEFORE = 15
"""The last migration without tenants."""
TURNS = [("ann", "acme"), ("ann", "acme"), ("bob", "acme"), ("bob", "bolt"), ("cid", None), ("dan", "bolt")]
PEOPLE = {"ann": person_of("ann", "acme"), "bob": "bob", "cid": "cid", "dan": "dan"}
"""Who was seen in two tenants, or has a key, which had none, stays."""
HASHES = {"leaf_hash": bytes(32), "chain_hash": bytes(32)}
TABLES = ("audit_subject", "audit_hold", "conversation", "feedback", "approval")


def put(url, table, **columns):
    """One row, on either engine."""
    file = url.startswith(SQLITE)
    places = ", ".join("?" if file else f"${number}" for number in range(1, len(columns) + 1))
    ask(url, f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", *columns.values())  # noqa: S608 - our own


def put_what_is_kept_of(url, user):
    times = {"created_at": 1, "updated_at": 1}
    put(url, "audit_subject", id=user * 2, user_id=user, created_at=1)
    put(url, "audit_hold", user_id=user, reason="a suit", placed_at=1)
    put(url, "conversation", id=f"talk-{user}", user_id=user, title="", **times)
    put(url, "feedback", turn_id=f"turn-{user}", user_id=user, rating="up", given_at=1)
    waits = {"tool": "transfer", "approvers": "", "trace_id": "0", "asked_at": 1, "expires_at": 2}
    put(url, "approval", turn_id=f"turn-{user}", call_id="1", user_id=user, **waits)


@pytest.fixture
async def before(url):
    await (await engine_at(url, BEFORE)).close()
    for user in PEOPLE:
        put_what_is_kept_of(url, user)
    for number, (user, tenant) in enumerate(TURNS):
        said = "{}" if tenant is None else f'{{"tenant":"{tenant}"}}'
        kind = {"entity_type": "AGENT_QUERY", "entity_id": "x", "action": "QUERY", "role": "CFO"}
        whose = {"id": f"event-{number}", "subject_id": user * 2, "metadata": said, "created_at": number + 1}
        put(url, "audit_event", log_index=number, **whose, **kind, **HASHES)
    key = {"role": "CFO", "scopes": "[]", "digest": "", "created_at": 1}
    put(url, "api_key", id="k", user_id="dan", **key)
    return url


@pytest.fixture
async def opened(before):
    database = await open_database(before)
    yield database
    await database.close()


@pytest.mark.parametrize(
    ("tenant", "events"),
    [("acme", ["event-2", "event-1", "event-0"]), ("bolt", ["event-5", "event-3"]), (None, ["event-4"])],
)
async def test_each_event_is_its_tenants(opened, tenant, events):
    page = await opened.questions.within(tenant).events(Filters(), 9)
    assert [event.id for event in page.events] == events


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize("table", TABLES)
async def test_what_was_kept_of_one_tenants_users_goes_with_them(url, table):
    found = {row["user_id"] for row in ask(url, f"SELECT user_id FROM {table}")}  # noqa: S608 - our own
    assert found == set(PEOPLE.values())


@pytest.mark.usefixtures("opened")
async def test_each_keeps_their_own(url):
    talks = {row["id"]: row["user_id"] for row in ask(url, "SELECT id, user_id FROM conversation")}
    assert talks == {f"talk-{user}": person for user, person in PEOPLE.items()}
