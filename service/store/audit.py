"""The audit's rows in the database: batches in, each whole or not at all.

Refuses to write an event twice: whatever id is already there stays as it is, its content too.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, Protocol

import msgspec
from msgspec import Struct
from piccolo.querystring import QueryString

from service.store.engine import Batch, StoreEngine
from service.store.tables import AuditContent, AuditEvent, column_names, insertion
from service.store.text import storable, storable_json

TOOL = "INSERT INTO audit_event_tool (event_id, tool, created_at) VALUES ({}, {}, {}) ON CONFLICT DO NOTHING"
"""What is found by its tool; a replay of a row whose event is there changes nothing."""


class AuditRow(Protocol):
    """One audit event as any room may hand it over; read only."""

    @property
    def id(self) -> str:
        """UUIDv7; the same event always has the same."""
        ...

    @property
    def entity_type(self) -> str:
        """Kind of what the event is about, such as AGENT_QUERY."""
        ...

    @property
    def entity_id(self) -> str:
        """Which one: the turn's id."""
        ...

    @property
    def action(self) -> str:
        """What was done: QUERY, REFUSED and so on."""
        ...

    @property
    def actor_id(self) -> str | None:
        """Who did it; None where nobody was authenticated."""
        ...

    @property
    def role(self) -> str | None:
        """The actor's role."""
        ...

    @property
    def outcome(self) -> str | None:
        """How it ended."""
        ...

    @property
    def category(self) -> str | None:
        """Category of the failure."""
        ...

    @property
    def code(self) -> str | None:
        """Code of the failure."""
        ...

    @property
    def model(self) -> str | None:
        """The model that was asked."""
        ...

    @property
    def trace_id(self) -> str | None:
        """32 hex digits."""
        ...

    @property
    def request_id(self) -> str | None:
        """The X-Request-Id of the answer."""
        ...

    @property
    def input_tokens(self) -> int:
        """Tokens in, cached ones included."""
        ...

    @property
    def output_tokens(self) -> int:
        """Tokens out."""
        ...

    @property
    def cost_micros(self) -> int:
        """Millionths of a US dollar."""
        ...

    @property
    def response_time_ms(self) -> int | None:
        """The turn's whole time in milliseconds."""
        ...

    @property
    def count(self) -> int:
        """How many like events this one stands for; at least 1."""
        ...

    @property
    def metadata(self) -> str:
        """A JSON object, canonical, without the query."""
        ...

    @property
    def query(self) -> str | None:
        """What the caller wrote; None where it is not kept in clear."""
        ...

    @property
    def created_at(self) -> int:
        """Microseconds since 1970 (UTC)."""
        ...


class _Called(Struct, rename="camel"):
    tools_called: tuple[str, ...] = ()


class AuditStore:
    """Where audit rows end up."""

    def __init__(self, engine: StoreEngine) -> None:
        self._engine = engine
        self._event_sql = insertion(AuditEvent())
        self._content_sql = insertion(AuditContent())
        self._tool_sql = QueryString(TOOL, "", "", 0).compile_string(engine_type=engine.engine_type)[0]

    async def append(self, rows: Sequence[AuditRow]) -> None:
        """Write the rows and their content in one transaction; ids that are already there change nothing.

        May be called again with the same rows at any time. A batch of 500 is a good size: the write lock
        is held for the whole call. Cancelled while it runs, the batch may still be written.

        Raises:
            DatabaseError: Nothing was written: the lock did not come in time, or a row is not acceptable.
        """
        batch = tuple(rows)
        if not batch:
            return
        contents = (row for row in batch if row.query is not None)
        await self._engine.write(
            Batch(self._event_sql, map(_event_values, batch)),
            Batch(self._content_sql, map(_content_values, contents)),
            Batch(self._tool_sql, chain.from_iterable(map(_tool_values, batch))),
        )


_event_columns = column_names(AuditEvent)
_event_fields = attrgetter(*_event_columns)
_metadata = _event_columns.index("metadata")


def _event_values(row: AuditRow) -> tuple[object, ...]:
    values = [*map(_value, _event_fields(row))]
    values[_metadata] = storable_json(row.metadata)
    return tuple(values)


def _content_values(row: AuditRow) -> tuple[object, ...]:
    return _value(row.id), _value(row.actor_id), _value(row.query)


def _tool_values(row: AuditRow) -> Iterator[tuple[object, ...]]:
    for tool in _tools_of(row.metadata):
        yield _value(row.id), _value(tool), row.created_at


def _tools_of(metadata: str) -> Sequence[str]:
    """The tools of an event's metadata; none where it is no such JSON, which is the database's to refuse."""
    try:
        return msgspec.json.decode(metadata, type=_Called).tools_called
    except (msgspec.MsgspecError, UnicodeError, TypeError):
        return ()


def _value(value: Any) -> object:
    return storable(value) if isinstance(value, str) else value
