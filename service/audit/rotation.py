"""The event of a change of keys.

Refuses to tell a key: its name is a digest of eight characters.
"""

from service.audit.deed import Doer
from service.audit.deed import row_of as deed
from service.audit.row import AuditRow

KEYS, ROTATED = "AUDIT_KEYS", "ROTATED"


def rotated(doer: Doer, key_id: str, *, data_keys: int, contents: int, quarantined: int) -> AuditRow:
    """The event of a batch: how many data keys were wrapped anew, and how many texts and rows sealed anew."""
    facts = {"keyId": key_id, "dataKeys": data_keys, "contents": contents, "quarantined": quarantined}
    return deed(doer, KEYS, ROTATED, key_id, facts)
