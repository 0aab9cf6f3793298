"""How long a database says nothing while somebody waits for it.

Refuses to take our own lateness for silence: it is counted in short slices of this process's own time, and an
answer to anybody ends it, for whoever waits behind many others waits for them.
"""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import Context

from service.errors import DatabaseError

SLICES = 20
"""Of the time after which silence is believed."""


class Silence:
    """Counts while anybody waits.

    Args:
        seconds: asked for each slice: after how many without an answer it is believed.
        met: told that it is.
    """

    def __init__(self, seconds: Callable[[], float], met: Callable[[], None]) -> None:
        self._seconds, self._met = seconds, met
        self._waiting, self._slices = 0, 0
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def waiting(self) -> Generator[None]:
        """Wait for an answer: the block's end, or a DatabaseError out of it."""
        self._waiting += 1
        if self._timer is None:
            self._slices = 0
            self._listen()
        try:
            yield
            self._slices = 0
        except DatabaseError:
            self._slices = 0
            raise
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._stop()

    def _listen(self) -> None:
        # Not in the context of whoever waits: that may be inside a transaction, or a turn's span.
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._seconds() / SLICES, self._heard_nothing, context=Context())

    def _heard_nothing(self) -> None:
        self._slices += 1
        if self._slices < SLICES:
            self._listen()
            return
        self._slices, self._timer = 0, None
        self._listen()
        self._met()

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
