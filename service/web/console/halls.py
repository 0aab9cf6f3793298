"""Where the audit's pages are, and which of them a caller may enter.

Refuses to show anything.
"""

from collections.abc import Sequence

from service.auth.permissions import Action
from service.web.console.navigation import Way, open_to
from telemetry.record import Caller

PATH = "/console/audit"
VERIFY = f"{PATH}/verify"
ERASE = f"{PATH}/erase"
HALLS = (
    Way(PATH, "Events", "Who asked what.", Action.AUDIT),
    Way(VERIFY, "Verify", "Whether the log is what was sealed.", Action.VERIFY),
    Way(ERASE, "Erase", "Forget a person.", Action.ERASE),
)
"""The audit's pages, in the order they are shown."""


def rooms_of(caller: Caller) -> Sequence[Way]:
    """Those that this caller may enter."""
    return tuple(open_to(caller, HALLS))
