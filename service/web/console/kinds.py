"""What audit events are about, in words for people.

Refuses nothing: a kind that is not here is called by its own name.
"""

from collections.abc import Mapping
from types import MappingProxyType

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "AGENT_QUERY": "Queries",
        "AGENT_APPROVAL": "Approvals",
        "AGENT_FEEDBACK": "Feedback",
        "AUDIT_ACCESS": "Looks at the audit",
        "AUDIT_ERASURE": "Erasures",
        "AUDIT_HOLD": "Legal holds",
        "AUDIT_RETENTION": "Retention",
        "AUDIT_KEYS": "Changes of encryption keys",
        "AUDIT_GAP": "Gaps",
        "API_KEY": "API keys",
        "TOKEN": "Tokens",
        "SESSION": "Sessions ended for others",
        "SETTINGS": "Changes of settings",
        "BUDGET_LEDGER": "Budgets counted anew",
        "all": "Everything",
    }
)
"""By `entityType`, as the list's filter has it."""
