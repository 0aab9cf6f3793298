"""What a key may be made with, and how it stands: the same for the command and the route.

Refuses a span without an end, and scopes that nobody knows.
"""

import re
from typing import Literal

from service.auth.keys import Held

Scope = Literal["audit:content"]
"""What a key may have besides its role."""
SPAN = r"[1-9][0-9]{0,4}[dhm]"
"""For how long a key holds: 90d, 12h, 30m."""
UNITS = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000}
"""Microseconds."""


def micros_of(span: str) -> int:
    """A span in microseconds.

    Raises:
        ValueError: it is none.
    """
    if not re.fullmatch(SPAN, span):
        raise ValueError("a number and d, h or m: 90d")
    return int(span[:-1]) * UNITS[span[-1]]


OVERLAP = "24h"
"""For how long a key holds on beside the one that takes its place, unless somebody says otherwise."""


def status_of(key: Held, now: int) -> Literal["active", "expired", "revoked"]:
    """How a key stands; `now` is microseconds since 1970 (UTC)."""
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "active"
