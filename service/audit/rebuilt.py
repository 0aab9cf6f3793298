"""The event of a ledger that was made to fit its events again.

Refuses to name a user: whose account it was is told by the random id that the audit knows them by.
"""

from collections.abc import Sequence
from typing import Any

from service.audit.deed import Doer
from service.audit.deed import row_of as deed
from service.audit.row import AuditRow
from telemetry import ids

LEDGER, REBUILT = "BUDGET_LEDGER", "REBUILT"


def rebuilt(doer: Doer, accounts: Sequence[dict[str, Any]]) -> AuditRow:
    """The event; `accounts` are those that did not fit, with what they said and should have said."""
    return deed(doer, LEDGER, REBUILT, ids.uuid7(), {"accounts": list(accounts)})
