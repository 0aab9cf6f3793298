"""Row-level security, asked of the server itself in raw SQL, as the role that serves."""

import asyncpg
import pytest

from service.errors import DatabaseError
from service.seal.vault import Vault
from service.store.database import open_database
from service.store.filters import Filters
from service.store.postgres.roles import grant_roles
from service.store.postgres.walls import WALLED
from tests.harness.sql import ask
from tests.service.store.postgres.test_roles import Roles
from tests.service.store.rows import batch_of
from tests.service.store.test_append_only import SKIPPING
from tests.service.store.test_tenancy import fill

TENANTS = ("acme", "bolt", None)
VAULT = Vault(masters=(b"k" * 32,))


@pytest.fixture
async def roles(url):
    await (await open_database(url)).close()
    made = Roles(url)
    await grant_roles(url, *made.names)
    database = await open_database(made.app, VAULT)
    await fill(database, TENANTS)
    await database.close()
    return made


async def seen(url, sql, setting=None):
    """The one value of a statement, in a transaction that says for whom it asks."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            if setting is not None:
                await connection.fetch("SELECT set_config('parley.tenant', $1, true)", setting)
            return await connection.fetchval(sql)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "table", ["audit_event", "audit_content", "audit_subject", "api_key", '"AuditEvent"']
)
async def test_whoever_does_not_say_for_whom_sees_nothing(roles, table):
    assert await seen(roles.app, f"SELECT count(*) FROM {table}") == 0  # noqa: S608
    assert await seen(roles.app, f"SELECT count(*) FROM {table}", "") == 0  # noqa: S608


@pytest.mark.parametrize("tenant", TENANTS)
async def test_a_tenant_sees_its_own_rows_alone(roles, tenant):
    setting = f"={tenant or ''}"
    found = await seen(
        roles.app, "SELECT string_agg(DISTINCT COALESCE(tenant, '-'), ',') FROM \"AuditEvent\"", setting
    )
    assert found == (tenant or "-")
    assert await seen(roles.app, "SELECT string_agg(id, ',') FROM api_key", setting) == f"key-{tenant}"
    assert await seen(roles.app, "SELECT count(*) FROM audit_content", setting) == 3


async def test_a_row_of_another_tenant_cannot_be_written(roles):
    sql = (
        "INSERT INTO session (id, user_id, role, method, begun_at, expires_at) "
        "VALUES ('1', 'bolt' || chr(31) || 'ann', 'CFO', 'oidc', 1, 2)"
    )
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await seen(roles.app, sql, "=acme")


@pytest.mark.usefixtures("roles")
async def test_every_table_of_persons_has_its_wall(url):
    sql = "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relforcerowsecurity"
    assert set((await seen(url, sql)).split(",")) == set(WALLED)
    columns = (
        "SELECT string_agg(DISTINCT table_name, ',') FROM information_schema.columns "
        "WHERE column_name IN ('user_id', 'subject_id', 'tenant') AND table_schema = current_schema() "
        "AND table_name <> 'AuditEvent'"
    )
    assert set((await seen(url, columns)).split(",")) <= set(WALLED)


async def test_the_service_asks_within_the_walls(roles):
    database = await open_database(roles.app, VAULT)
    for tenant in TENANTS:
        page = await database.questions.within(tenant).events(Filters(), 100)
        assert {event.metadata.get("tenant") for event in page.events} == {tenant}
        assert [each.id for each in await database.keys.within(tenant).list()] == [f"key-{tenant}"]
    assert len((await database.questions.events(Filters(), 100)).events) == 9
    await database.close()


async def test_a_row_that_is_skipped_in_silence_is_not_taken_for_written(roles, url):
    for statement in SKIPPING["postgresql"]:
        ask(url, statement)
    database = await open_database(roles.app, VAULT)
    with pytest.raises(DatabaseError, match="did not take every row"):
        await database.audit.append(batch_of("more", 5))
    await database.close()
