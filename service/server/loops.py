"""The event loop that the service runs in: uvloop's, or asyncio's own where that cannot be had.

Refuses nothing: both keep the same promises, one in less time.
"""

import asyncio
from collections.abc import Callable

Factory = Callable[[], asyncio.AbstractEventLoop]


def factory() -> Factory | None:
    """What makes the loop; None for asyncio's own."""
    try:
        import uvloop  # noqa: PLC0415 - may be missing
    except ImportError:
        return None
    return uvloop.new_event_loop
