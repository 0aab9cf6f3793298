"""How a moment is written everywhere: ISO 8601, UTC, milliseconds, Z.

Refuses to read one: times given by others are the routes' to understand.
"""

from datetime import UTC, datetime
from functools import lru_cache


def timestamp(microseconds: int) -> str:
    """Write microseconds since 1970 (UTC)."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{_second(seconds)}.{rest // 1000:03}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """Its second, which it mostly shares with the moment before it: each row and line has a few."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:-6]
