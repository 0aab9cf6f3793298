"""The events of what lets people in: an API key made, rotated or revoked, sessions and tokens ended.

Refuses a key's text, and to name whom it is for: their pseudonym stands there, as in traces.
"""

from collections.abc import Sequence

from service.audit.deed import Doer
from service.audit.deed import row_of as deed
from service.audit.row import AuditRow

KEY, MADE, REVOKED = "API_KEY", "MADE", "REVOKED"
SESSION, ENDED = "SESSION", "ENDED"
TOKEN = "TOKEN"  # noqa: S105 - what an event is about
ROTATED = "ROTATED"


def made(
    doer: Doer, key_id: str, pseudonym: str, role: str, scopes: Sequence[str], span: str | None
) -> AuditRow:
    """The event of a key that was made for somebody, for so long (None: for good)."""
    facts = {"subject": pseudonym, "subjectRole": role, "scopes": list(scopes), "expires": span}
    return deed(doer, KEY, MADE, key_id, facts)


def revoked(doer: Doer, key_id: str) -> AuditRow:
    """The event of a key that holds no longer."""
    return deed(doer, KEY, REVOKED, key_id, {})


def rotated(doer: Doer, key_id: str, replaces: str, until: str, span: str | None) -> AuditRow:
    """The event of a key that takes another's place, which holds until then (at most) beside it."""
    facts = {"replaces": replaces, "replacedUntil": until, "expires": span}
    return deed(doer, KEY, ROTATED, key_id, facts)


def token_revoked(doer: Doer, name: str) -> AuditRow:
    """The event of one session or token that holds no longer, by its name."""
    return deed(doer, TOKEN, REVOKED, name, {})


def all_revoked(
    doer: Doer, pseudonym: str, before: str, sessions: Sequence[str], keys: Sequence[str]
) -> AuditRow:
    """The event of all that somebody was issued before then; sessions that were known, and keys, by id."""
    facts = {"subject": pseudonym, "before": before, "sessions": list(sessions), "keys": list(keys)}
    return deed(doer, TOKEN, REVOKED, pseudonym, facts)


def ended(doer: Doer, pseudonym: str, sessions: Sequence[str]) -> AuditRow:
    """The event of somebody's sessions that were ended, by what they were called."""
    return deed(doer, SESSION, ENDED, pseudonym, {"subject": pseudonym, "sessions": list(sessions)})
