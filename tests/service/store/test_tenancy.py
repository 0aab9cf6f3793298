"""Questions of one tenant, on each engine: what they see, and that no statement can forget for whom it is."""

import pytest
from piccolo.querystring import QueryString

from service.store.filters import Filters
from service.store.keys import StoredKey
from service.store.questions import Grouping
from service.store.tenancy import EVERYBODY, SHADOWED, bound
from telemetry.person import parted, person_of, told_of
from tests.service.store.rows import Row

TENANTS = ("acme", "acme2", None)


def rows_of(tenant, number=3):
    said = '{"outcome":"answered"}' if tenant is None else f'{{"outcome":"answered","tenant":"{tenant}"}}'
    actor, name = person_of("ann", tenant), tenant or "none"
    return [Row(id=f"{name}-{each}", actor_id=actor, metadata=said) for each in range(number)]


async def fill(database, tenants=TENANTS):
    """Three events and a key of each tenant's ann."""
    for tenant in tenants:
        await database.audit.append(rows_of(tenant))
        key = StoredKey(
            id=f"key-{tenant}",
            user_id=person_of("ann", tenant),
            role="CFO",
            scopes=(),
            digest="0",
            created_at=1,
        )
        await database.keys.add(key)


@pytest.fixture
async def shared(database):
    await fill(database)
    return database


def ids(page):
    return sorted(event.id for event in page.events)


@pytest.mark.parametrize("tenant", TENANTS)
async def test_a_tenant_is_shown_and_told_of_its_own_events_alone(shared, tenant):
    asked, own = shared.questions.within(tenant), sorted(row.id for row in rows_of(tenant))
    for filters in (Filters(), Filters(actor="ann"), Filters(role="CFO"), Filters(q="much spend")):
        assert ids(await asked.events(filters, 100)) == own
        assert await asked.count(filters, 100) == 3
    assert {event.actor_id for event in (await asked.events(Filters(), 100)).events} == {"ann"}
    assert [await asked.event(each.id) is not None for one in TENANTS for each in rows_of(one)] == [
        one == tenant for one in TENANTS for _ in range(3)
    ]
    usage = await asked.usage(Grouping.USER, Filters())
    assert [(key, sums.turns) for key, sums in usage.rows] == [("ann", 3)]
    assert usage.total.turns == (await asked.stats(Filters())).rows == 3


@pytest.mark.parametrize("tenant", TENANTS)
async def test_a_page_leads_to_the_next_of_the_same_tenant(shared, tenant):
    asked, found = shared.questions.within(tenant), []
    async for page in asked.pages(Filters(), 1):
        found += [event.id for event in page]
    assert sorted(found) == sorted(row.id for row in rows_of(tenant))


@pytest.mark.parametrize("tenant", TENANTS)
async def test_keys_are_listed_and_revoked_within_their_tenant(shared, tenant):
    own = shared.keys.within(tenant)
    assert [key.id for key in await own.list()] == [f"key-{tenant}"]
    others = [each for each in TENANTS if each != tenant]
    assert [await own.revoke(f"key-{each}", 2) for each in others] == [False, False]
    assert await own.revoke(f"key-{tenant}", 2)


async def test_the_installation_is_told_of_all_each_by_the_tenant(shared):
    usage = await shared.questions.usage(Grouping.USER, Filters())
    assert {key for key, _ in usage.rows} == {"ann", "acme/ann", "acme2/ann"}
    assert len(await shared.keys.list()) == 3


async def test_only_where_nobody_else_is_does_the_log_belong_to_whoever_has_no_tenant(database):
    await database.audit.append(rows_of(None))
    assert await database.questions.within(None).alone(3)
    await database.audit.append(rows_of("acme"))
    assert await database.questions.within(None).alone(3)
    assert not await database.questions.within(None).alone(4)
    assert not await database.questions.within("acme").alone(6)


async def test_somebody_is_forgotten_within_their_tenant_alone(shared):
    tell = lambda done: Row(id=f"erased-{done.subject_id}", actor_id=None, query=None)  # noqa: E731 - a line
    await shared.erasures.erase(person_of("ann", "acme"), tell, 1 << 60)
    pages = [await shared.questions.within(each).events(Filters(actor="ann"), 9) for each in TENANTS]
    assert [len(page.events) for page in pages] == [0, 3, 3]


async def test_nobody_reaches_a_person_of_another_tenant_by_a_name(shared):
    forged = person_of("acme\x1fann", None)
    assert parted(forged)[0] is None
    page = await shared.questions.within(None).events(Filters(actor="acme\x1fann"), 9)
    assert page.events == ()
    assert told_of(person_of("ann", "acme")) == "acme/ann"


@pytest.mark.parametrize("table", sorted(SHADOWED))
async def test_no_statement_can_forget_the_tenant(shared, table):
    """The mutation: one that says nothing of tenants sees all without the binding, and with it its own."""
    engine = shared.questions._all
    forgetful = QueryString(f"SELECT COUNT(*) AS found FROM {table}")  # noqa: S608 - our own names
    counts = []
    for whose in (EVERYBODY, *TENANTS, "nobody"):
        (row,) = await engine.ask(forgetful, whose)
        counts.append(row["found"])
    assert counts[0] == sum(counts[1:4])
    assert counts[4] == 0
    if table in {"audit_event", '"AuditEvent"'}:
        assert counts[:4] == [9, 3, 3, 3]
    if table == "api_key":
        assert counts[:4] == [3, 1, 1, 1]


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_what_names_no_table_of_a_tenant_stays_as_it_is(dialect):
    asked = QueryString("SELECT 1 FROM audit_event_tool, audit_tile")
    assert bound(asked, "acme", dialect) is asked
    assert bound(QueryString("SELECT 1 FROM audit_event"), EVERYBODY, dialect).args == []
