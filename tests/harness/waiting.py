"""Waiting for something that happens in another thread or process.

Refuses to fail without a word: when the time is up, the error says what was seen instead.
"""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 90.0
"""Seconds: far above what anything here takes, so that a slow machine fails no test."""


def wait(
    condition: Callable[[], T], seconds: float = PATIENCE, *, seen: Callable[[], str] = lambda: "nothing"
) -> T:
    """Ask until the answer is truthy, and return it.

    Args:
        condition: asked every 10 ms, and at least once.
        seconds: how long to ask.
        seen: tells, for the error's text, what there was at the end.

    Raises:
        AssertionError: the condition did not hold in time.
    """
    end = time.monotonic() + seconds
    while True:
        if answer := condition():
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"still not so after {seconds:g} s; seen:\n{seen()}")
        time.sleep(0.01)
