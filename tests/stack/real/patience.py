"""Waiting for what other programs do: asked a few times a second, for they need the processor themselves.

Refuses to fail without a word, as `tests.harness.waiting`.
"""

import time
from collections.abc import Callable

from tests.harness.waiting import T, wait

LONG = 90.0
"""Seconds for what takes about ten: the machine may be busy, and a sender waits longer each time."""
PAUSE = 0.2


def until(
    condition: Callable[[], T], seconds: float = LONG, *, seen: Callable[[], str] = lambda: "nothing"
) -> T:
    """Ask until the answer is truthy, and return it."""

    def asked() -> T | None:
        return condition() or time.sleep(PAUSE)

    found = wait(asked, seconds, seen=seen)
    assert found
    return found
