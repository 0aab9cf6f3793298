"""How a moment is written everywhere: ISO 8601, UTC, milliseconds, Z.

Refuses to read one: times given by others are the routes' to understand.
"""

from datetime import UTC, datetime


def timestamp(microseconds: int) -> str:
    """Write microseconds since 1970 (UTC)."""
    return f"{datetime.fromtimestamp(microseconds / 1_000_000, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
