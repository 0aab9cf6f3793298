"""Walls between tenants that the server itself keeps up: row-level security, by a setting of the transaction.

Refuses every row to whoever has not said for whom they ask: a forgotten word shows nothing, not everything.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

SETTING = "parley.tenant"
ALL = "*"
"""What the service's own connections say: the log is one for all, and a question names its tenant."""
PERSON = "parley_within(parley_tenant_of(user_id))"
EVENT = "EXISTS (SELECT 1 FROM {schema}.audit_event AS event WHERE event.log_index = {table}.log_index)"

WALLED: Mapping[str, str] = MappingProxyType(
    {
        "audit_event": "parley_within(tenant)",
        "audit_content": EVENT,
        "audit_event_tool": EVENT,
        "audit_arguments": EVENT,
        "audit_quarantine": "FALSE",
        "audit_subject": PERSON,
        "audit_hold": PERSON,
        "api_key": PERSON,
        "conversation": PERSON,
        "conversation_turn": "EXISTS "
        "(SELECT 1 FROM {schema}.conversation AS talk WHERE talk.id = conversation_turn.conversation_id)",
        "idempotency_claim": PERSON,
        "session": PERSON,
        "feedback": PERSON,
        "approval": PERSON,
        "limit_reset": "parley_within(tenant)",
        "budget_ledger": "scope <> 'user' "
        "OR EXISTS (SELECT 1 FROM {schema}.audit_subject AS whom WHERE whom.id = budget_ledger.subject)",
    }
)
"""Which rows of a table are the tenant's. What has no line holds hashes, or random ids of things that do."""
POLICY = "parley_tenant"
INVOKER = 150_000
"""The first version whose views ask in the name of whoever asks them."""


def setting_of(tenant: str | None) -> str:
    """What a transaction says that asks for one."""
    return f"={tenant or ''}"


def statements(schema: str, version: int) -> Iterator[str]:
    """What raises the walls, for the tables' owner too, and raises them anew; `schema` is quoted already."""
    if version >= INVOKER:
        yield f'ALTER VIEW {schema}."AuditEvent" SET (security_invoker = on)'
    for table, rows in WALLED.items():
        name, meant = f"{schema}.{table}", rows.format(schema=schema, table=table)
        yield f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"
        yield f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY"
        yield f"DROP POLICY IF EXISTS {POLICY} ON {name}"
        everything = f"(SELECT current_setting('{SETTING}', true)) = '{ALL}'"
        yield f"CREATE POLICY {POLICY} ON {name} USING ({everything} OR {meant})"
