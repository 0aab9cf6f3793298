"""The whole schema on one page, as Piccolo's tables; the migrations make it, a test holds the two together.

Refuses engine-specific types: identifiers are text, money is integer millionths of a US dollar, times are
integer microseconds since 1970 (UTC), and JSON is canonical text, so that it can be hashed.
"""

from typing import Any

from piccolo.columns import BigInt, Integer, Text
from piccolo.engine.base import Engine
from piccolo.query import Insert
from piccolo.table import Table, TableMeta


class AuditEvent(Table, tablename="audit_event"):
    """One audited fact; holds no content. The view "AuditEvent" shows it in the contract's words."""

    id = Text(primary_key=True)
    entity_type = Text()
    entity_id = Text()
    action = Text()
    actor_id = Text(null=True)
    role = Text(null=True)
    outcome = Text(null=True)
    category = Text(null=True)
    code = Text(null=True)
    model = Text(null=True)
    trace_id = Text(null=True)
    request_id = Text(null=True)
    input_tokens = BigInt()
    output_tokens = BigInt()
    cost_micros = BigInt()
    response_time_ms = BigInt(null=True)
    occurrences = Integer(default=1, db_column_name="count")  # Table.count is a method of Piccolo
    metadata = Text()
    created_at = BigInt()


class AuditContent(Table, tablename="audit_content"):
    """What the caller wrote, apart from the event so that it can be erased.

    Erasing sets `query` to null and keeps the row: writing the event again then cannot bring the text back.
    """

    event_id = Text(primary_key=True)
    actor_id = Text(null=True)
    query = Text(null=True)


class ApiKey(Table, tablename="api_key"):
    """One API key; `digest` is the HMAC of its secret in hex, `scopes` a JSON list."""

    id = Text(primary_key=True)
    user_id = Text()
    role = Text()
    scopes = Text()
    digest = Text()
    created_at = BigInt()
    expires_at = BigInt(null=True)
    revoked_at = BigInt(null=True)


class Conversation(Table, tablename="conversation"):
    """One user's conversation; a hidden one has no title and no turns, and its id stays taken."""

    id = Text(primary_key=True)
    user_id = Text()
    title = Text()
    created_at = BigInt()
    updated_at = BigInt()
    hidden_at = BigInt(null=True)


class ConversationTurn(Table, tablename="conversation_turn"):
    """One answered turn of a conversation; `messages` is JSON text in the Messages API's form."""

    turn_id = Text(primary_key=True)
    conversation_id = Text()
    position = BigInt()
    model = Text()
    messages = Text()
    asked_at = BigInt()
    answered_at = BigInt()


class IdempotencyClaim(Table, tablename="idempotency_claim"):
    """One Idempotency-Key of one user; `answer` is JSON text, null while the turn that claimed it runs."""

    id = Text(primary_key=True)
    user_id = Text()
    body_digest = Text()
    turn_id = Text()
    answer = Text(null=True)
    expires_at = BigInt()


class RevokedSession(Table, tablename="revoked_session"):
    """One session that was ended before it expired."""

    id = Text(primary_key=True)
    expires_at = BigInt()


TABLES: tuple[type[Table], ...] = (
    AuditEvent,
    AuditContent,
    ApiKey,
    Conversation,
    ConversationTurn,
    IdempotencyClaim,
    RevokedSession,
)


def bind(engine: Engine[Any]) -> None:
    """Tell the tables which dialect they are written in; which file a query goes to, the stores say."""
    for table in TABLES:
        _meta(table).db = engine


def column_names(table: type[Table]) -> tuple[str, ...]:
    """The columns as the database names them, in the order in which they are inserted."""
    return tuple(column._meta.db_column_name for column in _meta(table).columns)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - as _meta


def insertion(row: Table) -> str:
    """The statement that inserts one row like this, or does nothing where its key is there already."""
    # Run once per row: Piccolo needs 40 ms on the event loop to build one statement for 500 rows.
    query = Insert(type(row), row).on_conflict(target=_meta(type(row)).primary_key, action="DO NOTHING")
    return query.querystrings[0].compile_string(engine_type=query.engine_type)[0]


def _meta(table: type[Table]) -> TableMeta:
    return table._meta  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - documented, in spite of its name
