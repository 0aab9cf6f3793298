"""Rows of the form before the sealed log: appended to it in their order, then their tables go.

Refuses to drop a row that is not in the log: what was appended is looked for before anything is dropped.
"""

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from msgspec import Struct
from piccolo.querystring import QueryString

from service.errors import DatabaseError
from service.store.audit import AuditStore
from service.store.engine import Batch, StoreEngine
from service.store.row import Erased

BATCH = 500
ATTEMPTS, PAUSE = 5, 0.2
"""How often, and after how many seconds, what another process got in the way of is tried again."""
THERE: Mapping[str, QueryString] = MappingProxyType(
    {
        "sqlite": QueryString("SELECT 1 AS found FROM sqlite_master WHERE name = 'audit_event_unsealed'"),
        "postgres": QueryString("SELECT 1 AS found WHERE to_regclass('audit_event_unsealed') IS NOT NULL"),
    }
)
ROWS = (
    "SELECT event.*, content.query, content.event_id IS NOT NULL AS said FROM audit_event_unsealed AS event "
    "LEFT JOIN audit_content_unsealed AS content ON content.event_id = event.id "
    "WHERE event.id > {} ORDER BY event.id LIMIT {}"
)
"""By id, which is a UUIDv7: the order in which the turns began."""
LEFT = (
    "SELECT old.id FROM audit_event_unsealed AS old WHERE old.id > {} AND old.id <= {} "
    "AND NOT EXISTS (SELECT 1 FROM audit_event AS event WHERE event.id = old.id) LIMIT 1"
)
TABLES = "audit_content_unsealed", "audit_event_unsealed"


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
    query: str | Erased | None
    arguments: None = None
    lease: None = None
    charged_micros: int = 0
    writer: None = None
    writer_seq: None = None
    writer_low: None = None


async def import_unsealed(engine: StoreEngine, store: AuditStore) -> None:
    """Bring what waits into the log; any number of processes may do so at once, and again after a crash.

    Raises:
        DatabaseError: it is not all there afterwards, or the database did not answer.
    """
    failures = 0
    while await _waiting(engine):
        try:
            await _import(engine, store)
        except DatabaseError:
            # Another process was done first: the tables go, or went, while this one read.
            failures += 1
            if failures > ATTEMPTS and await _waiting(engine):
                raise
            await asyncio.sleep(PAUSE)


async def _waiting(engine: StoreEngine) -> bool:
    return bool(await engine.run_querystring(THERE[engine.engine_type]))


async def _import(engine: StoreEngine, store: AuditStore) -> None:
    last = ""
    while rows := await engine.ask(QueryString(ROWS, last, BATCH)):
        await store.append(_read(rows))
        start, last = last, str(rows[-1]["id"])
        if await engine.ask(QueryString(LEFT, start, last)):
            raise DatabaseError("Earlier audit rows could not be brought into the sealed log.")
    # Both or none: events without their contents would pass for events in which nothing was said.
    await engine.write(*(Batch(f"DROP TABLE IF EXISTS {table}", [()]) for table in TABLES))


def _read(rows: Sequence[Mapping[str, Any]]) -> Sequence[Unsealed]:
    return [_unsealed({**row, "query": _said(row)}) for row in rows]


def _unsealed(row: Mapping[str, Any]) -> Unsealed:
    return Unsealed(**{name: row[name] for name in Unsealed.__struct_fields__ if name in row})


def _said(row: Mapping[str, Any]) -> str | Erased | None:
    """A content's row without its text is what erasing left."""
    return Erased.ERASED if row["said"] and row["query"] is None else row["query"]
