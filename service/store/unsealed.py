"""Rows of the form before the sealed log: appended to it in their order, then their tables go.

Refuses to drop a row that is not in the log: what was appended is looked for before anything is dropped.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct
from piccolo.querystring import QueryString

from service.errors import DatabaseError
from service.store.audit import AuditStore
from service.store.engine import StoreEngine

BATCH = 500
THERE: Mapping[str, QueryString] = MappingProxyType(
    {
        "sqlite": QueryString("SELECT 1 AS found FROM sqlite_master WHERE name = 'audit_event_unsealed'"),
        "postgres": QueryString("SELECT 1 AS found WHERE to_regclass('audit_event_unsealed') IS NOT NULL"),
    }
)
ROWS = (
    "SELECT event.*, content.query FROM audit_event_unsealed AS event "
    "LEFT JOIN audit_content_unsealed AS content ON content.event_id = event.id "
    "WHERE event.id > {} ORDER BY event.id LIMIT {}"
)
"""By id, which is a UUIDv7: the order in which the turns began."""
LEFT = QueryString(
    "SELECT count(*) AS rows FROM audit_event_unsealed AS old "
    "WHERE NOT EXISTS (SELECT 1 FROM audit_event AS event WHERE event.id = old.id)"
)


class Unsealed(Struct, frozen=True, kw_only=True):
    """A row as it was."""

    id: str
    entity_type: str
    entity_id: str
    action: str
    actor_id: str | None
    role: str | None
    outcome: str | None
    category: str | None
    code: str | None
    model: str | None
    trace_id: str | None
    request_id: str | None
    input_tokens: int
    output_tokens: int
    cost_micros: int
    response_time_ms: int | None
    count: int
    metadata: str
    created_at: int
    query: str | None
    writer: None = None
    writer_seq: None = None
    writer_low: None = None


async def import_unsealed(engine: StoreEngine, store: AuditStore) -> None:
    """Bring what waits into the log; any number of processes may do so at once, and again after a crash.

    Raises:
        DatabaseError: it is not all there afterwards, or the database did not answer.
    """
    if not await engine.run_querystring(THERE[engine.engine_type]):
        return
    last = ""
    while rows := await engine.ask(QueryString(ROWS, last, BATCH)):
        await store.append([_read(row) for row in rows])
        last = str(rows[-1]["id"])
    (left,) = await engine.ask(LEFT)
    if left["rows"]:
        raise DatabaseError("Earlier audit rows could not be brought into the sealed log.")
    for table in ("audit_content_unsealed", "audit_event_unsealed"):
        await engine.run_ddl(f"DROP TABLE IF EXISTS {table}")


def _read(row: Mapping[str, Any]) -> Unsealed:
    return Unsealed(**{name: row[name] for name in Unsealed.__struct_fields__ if name in row})
