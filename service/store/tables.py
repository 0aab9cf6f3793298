"""The whole schema on one page, as Piccolo's tables; the migrations make it, a test holds the two together.

Refuses engine-specific types: identifiers are text, money is integer millionths of a US dollar, times are
integer microseconds since 1970 (UTC), and JSON is canonical text, so that it can be hashed.
"""

from typing import Any

from piccolo.columns import BigInt, Bytea, Integer, Text
from piccolo.engine.base import Engine
from piccolo.table import Table, TableMeta


class AuditEvent(Table, tablename="audit_event"):
    """One audited fact, at its place in the log; holds no content and no name. Append-only.

    The view "AuditEvent" shows it in the contract's words.
    """

    log_index = BigInt(primary_key=True)
    id = Text()
    entity_type = Text()
    entity_id = Text()
    action = Text()
    subject_id = Text(null=True)
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
    commitment = Bytea(null=True)
    writer = Text(null=True)
    writer_seq = BigInt(null=True)
    writer_low = BigInt(null=True)
    leaf_hash = Bytea()
    chain_hash = Bytea()
    tenant = Text(null=True)  # generated from the metadata, never written


class AuditContent(Table, tablename="audit_content"):
    """What the caller wrote, apart from the event so that it can be erased: in clear, or sealed.

    Erasing sets text and salt to null and keeps the row: writing the event again then cannot bring it back.
    """

    log_index = BigInt(primary_key=True)
    subject_id = Text(null=True)
    query = Text(null=True)
    sealed = Bytea(null=True)
    salt = Bytea(null=True)


class AuditArguments(Table, tablename="audit_arguments"):
    """What tools were called with, by event: a sealed JSON list, with the salts of its commitments."""

    log_index = BigInt(primary_key=True)
    subject_id = Text()
    sealed = Bytea()


class AuditSubject(Table, tablename="audit_subject"):
    """Whom a random subject id stands for, and the wrapped key that seals what they say."""

    id = Text(primary_key=True)
    user_id = Text(unique=True)
    data_key = Bytea(null=True)
    key_id = Text(null=True)
    created_at = BigInt()


class AuditCheckpoint(Table, tablename="audit_checkpoint"):
    """One signed note over the log's first `size` events. Append-only."""

    size = BigInt(primary_key=True)
    created_at = BigInt()
    note = Text()


class AuditQuarantine(Table, tablename="audit_quarantine"):
    """A row that the database refused for good; `whole` is all of it, sealed, null once erased."""

    id = Text(primary_key=True)
    subject_id = Text(null=True)
    writer = Text(null=True)
    writer_seq = BigInt(null=True)
    reason = Text()
    whole = Bytea(null=True, db_column_name="raw")  # Table.raw is a method of Piccolo
    created_at = BigInt()


class AuditHold(Table, tablename="audit_hold"):
    """A legal hold: nothing of this user's is erased or removed while it is there."""

    user_id = Text(primary_key=True)
    reason = Text()
    placed_at = BigInt()


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
    last_used_at = BigInt(null=True)


class Conversation(Table, tablename="conversation"):
    """One user's conversation; a hidden one has no title and no turns, and its id stays taken.

    `title` is empty where `sealed_title` has it.
    """

    id = Text(primary_key=True)
    user_id = Text()
    title = Text()
    created_at = BigInt()
    updated_at = BigInt()
    hidden_at = BigInt(null=True)
    sealed_title = Bytea(null=True)


class ConversationTurn(Table, tablename="conversation_turn"):
    """One answered turn of a conversation; `messages` is JSON text in the Messages API's form.

    It is empty where `sealed` has it.
    """

    turn_id = Text(primary_key=True)
    conversation_id = Text()
    position = BigInt()
    model = Text()
    messages = Text()
    asked_at = BigInt()
    answered_at = BigInt()
    sealed = Bytea(null=True)
    tokens = BigInt(null=True)


class ConversationLease(Table, tablename="conversation_lease"):
    """In which conversation a turn runs, and until when others wait for it; `id` is a hash of both names."""

    id = Text(primary_key=True)
    holder = Text()
    expires_at = BigInt()


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


class RevokedSubject(Table, tablename="revoked_subject"):
    """Whose tokens and sessions hold no longer, if issued before; `id` is a keyed digest of a name."""

    id = Text(primary_key=True)
    before_at = BigInt()


class BudgetLedger(Table, tablename="budget_ledger"):
    """What one user, role or all have spent and put aside in a day or a month, in micro-dollars.

    Its key is scope, subject and period together, which Piccolo has no word for.
    """

    scope = Text(primary_key=True)
    subject = Text()
    period = Text()
    spent = BigInt()
    reserved = BigInt()
    told = BigInt()


class BudgetReservation(Table, tablename="budget_reservation"):
    """Money that is put aside for a turn, or a chunk of it for a process; `accounts` is JSON text."""

    id = Text(primary_key=True)
    writer = Text()
    amount = BigInt()
    returned = BigInt()
    accounts = Text()
    state = Text()
    expires_at = BigInt()


class LimitReset(Table, tablename="limit_reset"):
    """Whose limits begin anew, for services that count in their own memory; gone after an hour."""

    id = Text(primary_key=True)
    user_id = Text()
    role = Text()
    tenant = Text(null=True)
    at = BigInt()


class Approval(Table, tablename="approval"):
    """A call of a tool that waits for somebody's yes, or waited lately; `arguments` is sealed.

    Its key is turn and call together, which Piccolo has no word for.
    """

    turn_id = Text(primary_key=True)
    call_id = Text()
    user_id = Text()
    tenant = Text(null=True)
    tool = Text()
    approvers = Text()
    arguments = Bytea(null=True)
    trace_id = Text()
    asked_at = BigInt()
    expires_at = BigInt()
    decided_at = BigInt(null=True)
    decision = Text(null=True)
    decided_by = Text(null=True)
    role = Text(null=True)


class ConsoleSession(Table, tablename="session"):
    """A session of the console that goes on; what opens it is not here."""

    id = Text(primary_key=True)
    user_id = Text()
    role = Text()
    method = Text()
    begun_at = BigInt()
    expires_at = BigInt()


class Feedback(Table, tablename="feedback"):
    """What a caller said of a turn; `comment` is sealed, `salt` opens the audit's commitment to it."""

    turn_id = Text(primary_key=True)
    user_id = Text()
    model = Text(null=True)
    trace_id = Text(null=True)
    rating = Text()
    comment = Bytea(null=True)
    salt = Bytea(null=True)
    given_at = BigInt()


TABLES: tuple[type[Table], ...] = (
    AuditEvent,
    AuditContent,
    AuditArguments,
    AuditSubject,
    AuditCheckpoint,
    AuditQuarantine,
    AuditHold,
    ApiKey,
    Conversation,
    ConversationTurn,
    ConversationLease,
    IdempotencyClaim,
    RevokedSession,
    RevokedSubject,
    BudgetLedger,
    BudgetReservation,
    LimitReset,
    Approval,
    Feedback,
    ConsoleSession,
)


def bind(engine: Engine[Any]) -> None:
    """Tell the tables which dialect they are written in; which file a query goes to, the stores say."""
    for table in TABLES:
        _meta(table).db = engine


def _meta(table: type[Table]) -> TableMeta:
    return table._meta  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - documented, in spite of its name
