"""The rights of the two roles that a server may know us by: one that serves, one that erases.

Refuses a role that may change events all the same: a superuser, or a member of a role that may.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType

from service.errors import DatabaseError
from service.store.postgres import walls
from service.store.postgres.engine import commit, open_pool, run_on
from service.store.postgres.line import Line
from service.store.postgres.location import is_server, location_of

Rights = Mapping[str, str]
"""By table: what may be done to it."""

ADD = "SELECT, INSERT"
ALL = "SELECT, INSERT, UPDATE, DELETE"
KEPT = MappingProxyType(
    {
        '"AuditEvent"': "SELECT",
        "schema_migration": "SELECT",
        "audit_log": "SELECT",
        "audit_event": ADD,
        "audit_content": ADD,
        "audit_event_tool": ADD,
        "audit_arguments": ADD,
        "audit_subject": ADD,
        "audit_tile": ADD,
        "audit_checkpoint": ADD,
        "audit_quarantine": ADD,
        "conversation": ALL,
        "conversation_turn": ALL,
        "conversation_lease": ALL,
        "idempotency_claim": ALL,
        "revoked_session": ALL,
        "revoked_subject": ALL,
        "session": ALL,
        "api_key": ALL,
        "budget_ledger": ALL,
        "budget_reservation": ALL,
        "limit_reset": ALL,
        "approval": ALL,
        "feedback": ALL,
    }
)
"""What both need. Nothing that an audit's table holds can be changed or removed by it."""
APP: Rights = KEPT | {"audit_tombstone": "SELECT", "audit_erased": "SELECT", "audit_hold": "SELECT"}
ERASER: Rights = KEPT | {
    "audit_event": f"{ADD}, DELETE",
    "audit_event_tool": f"{ADD}, DELETE",
    "audit_content": f"{ADD}, DELETE, UPDATE (query, sealed, salt, words)",
    "audit_arguments": f"{ADD}, DELETE, UPDATE (sealed)",
    "audit_subject": f"{ADD}, DELETE, UPDATE (data_key, key_id)",
    "audit_quarantine": f"{ADD}, UPDATE (raw)",
    "audit_tombstone": ADD,
    "audit_erased": ALL,
    "audit_hold": f"{ADD}, DELETE",
}
"""Events can be deleted only where a tombstone stands for them, as triggers see to."""

THERE = "SELECT 1 FROM pg_roles WHERE rolname::text = $1"
UNSOUND = """
SELECT role.rolsuper OR pg_has_role(role.oid, held.relowner, 'MEMBER')
    OR has_any_column_privilege(role.oid, held.oid, 'UPDATE')
    OR has_table_privilege(role.oid, held.oid, 'TRUNCATE, TRIGGER')
FROM pg_roles AS role, pg_class AS held
WHERE role.rolname::text = $1 AND held.oid = 'audit_event'::regclass
"""
"""Asked once the rights are granted: whether it has more than these by another way."""


async def grant_roles(url: str, app: str | None, eraser: str | None) -> None:
    """Give existing roles their rights on a migrated database, and take all others on its tables from them.

    Args:
        url: of the database, as the owner of its tables.
        app: the role that `serve` is to connect as; None for none.
        eraser: the role for erasing, holds, retention and rotation; None for none.

    Raises:
        DatabaseError: there is no such role, rights mean nothing to it, or we may not grant them.
    """
    if not is_server(url):
        raise DatabaseError("A SQLite database has no roles; DATABASE_URL must name a server.")
    if app is not None and app == eraser:
        raise DatabaseError("The role that serves and the one that erases must be two.")
    engine = await open_pool(location_of(url).url)
    try:
        async with engine.lent() as line:
            await run_on(line, partial(_grant_all, {app: APP, eraser: ERASER}))
    finally:
        await engine.close()


async def _grant_all(rights: Mapping[str | None, Rights], line: Line) -> None:
    await line.execute("BEGIN")
    schema = quoted(await line.fetchval("SELECT current_schema()"))
    version = int(await line.fetchval("SELECT current_setting('server_version_num')"))
    for statement in walls.statements(schema, version):
        await line.execute(statement)
    for role, held in rights.items():
        if role is not None:
            await _grant(role, held, schema, line)
    await commit(line)


async def _grant(role: str, rights: Rights, schema: str, line: Line) -> None:
    if await line.fetchval(THERE, role) is None:
        raise DatabaseError("The server has no role of that name.")
    for statement in statements(quoted(role), schema, rights):
        await line.execute(statement)
    if await line.fetchval(UNSOUND, role):
        raise DatabaseError("That role may change events whatever it is granted; name a plain one.")


def statements(role: str, schema: str, rights: Rights) -> Iterator[str]:
    """What gives a role these rights and no others; names are quoted already."""
    yield f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}"
    yield f"REVOKE CREATE ON SCHEMA {schema} FROM {role}"
    yield f"GRANT USAGE ON SCHEMA {schema} TO {role}"
    for table, held in rights.items():
        yield f"GRANT {held} ON {schema}.{table} TO {role}"


def quoted(name: str) -> str:
    """A name as an identifier of SQL, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'
