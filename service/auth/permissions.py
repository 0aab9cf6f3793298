"""Who may do what: one table of role x action, asked in one place (contract, section 4).

Refuses whatever it does not grant: a role that is not in the table may chat and see its own records.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from service.errors import Forbidden
from telemetry.record import Caller

CONTENT_SCOPE = "audit:content"


class Action(StrEnum):
    """What a route or a command does."""

    CHAT = "chat"
    OWN = "own"
    USAGE_ALL = "usage_all"
    OPERATIONS = "operations"
    AUDIT = "audit"
    AUDIT_CONTENT = "audit_content"
    EXPORT = "export"
    VERIFY = "verify"
    ERASE = "erase"
    KEYS = "keys"
    SETTINGS = "settings"
    LIMITS_ALL = "limits_all"


EVERYBODY = frozenset({Action.CHAT, Action.OWN})

GRANTS: Mapping[str, frozenset[Action]] = MappingProxyType(
    {
        "CFO": EVERYBODY | {Action.USAGE_ALL, Action.OPERATIONS},
        "CXO_TEAM": EVERYBODY | {Action.USAGE_ALL, Action.OPERATIONS},
        "AUDIT_HEAD": frozenset(Action),
        "AUDITOR": EVERYBODY | {Action.AUDIT, Action.EXPORT, Action.VERIFY},
    }
)
"""What a role may; any other may what everybody may."""

SCOPES: Mapping[tuple[str, str], Action] = MappingProxyType(
    {("AUDITOR", CONTENT_SCOPE): Action.AUDIT_CONTENT}
)
"""What a scope of the credential adds to a role."""


def may(caller: Caller, action: Action) -> bool:
    """Whether the caller may."""
    scoped = {SCOPES.get((caller.role, scope)) for scope in caller.scopes}
    return action in GRANTS.get(caller.role, EVERYBODY) or action in scoped


def require(caller: Caller, action: Action) -> None:
    """Let the caller pass.

    Raises:
        Forbidden: the caller may not.
    """
    if not may(caller, action):
        raise Forbidden(f"Your role does not include {action.value}.")
