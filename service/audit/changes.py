"""The event of settings that were changed while the service ran.

Refuses a secret: of those that may change its mask stands there.
"""

import os
from collections.abc import Mapping, Sequence

from service.audit.deed import Doer
from service.audit.deed import row_of as deed
from service.audit.row import AuditRow

SETTINGS, CHANGED = "SETTINGS", "CHANGED"
LIMITS = "limits"
"""What was changed; whatever else a service is told by its settings takes a restart."""


def changed(doer: Doer, values: Mapping[str, str | None], restart: Sequence[str]) -> AuditRow:
    """The event of taking over new values by their names (None: unset), in this process.

    `restart` are the names whose new values wait for one.
    """
    facts = {"changed": dict(values), "needRestart": list(restart), "pid": os.getpid()}
    return deed(doer, SETTINGS, CHANGED, LIMITS, facts)
