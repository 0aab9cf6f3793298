"""A place outside the database that checkpoints are told to: in order, in its own time, until it takes them.

Refuses to be in the way: what waits for a place that does not answer is bounded, and the oldest gives way.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.client import HTTPException
from logging import WARNING

from telemetry import log, names
from telemetry.failure import words_of

CAPACITY = 100
"""Checkpoints that wait; a newer one proves more than those before it."""
PAUSES = (1.0, 5.0, 15.0, 60.0)
"""Seconds between attempts; the last one repeats."""

Send = Callable[[bytes], None]
"""Takes one JSON object to its place; runs on a thread; raises OSError, HTTPException or ValueError."""


class Outlet:
    """One such place; `name` says which in log lines."""

    def __init__(self, name: str, send: Send, *, pauses: Sequence[float] = PAUSES) -> None:
        self.name = name
        self._send, self._pauses = send, pauses
        self._waiting: deque[bytes] = deque(maxlen=CAPACITY)
        self._task: asyncio.Task[None] | None = None

    def tell(self, line: bytes) -> None:
        """Owe it one more."""
        if len(self._waiting) == CAPACITY:
            self._complain("the oldest of those that wait is not told any more")
        self._waiting.append(line)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._tell_all(), name=f"checkpoints to {self.name}")

    async def finish(self, seconds: float) -> None:
        """Wait for so long until all is told; what is not told then is only in the database."""
        if self._task is None:
            return
        await asyncio.wait((self._task,), timeout=seconds)
        if self._waiting:
            self._complain("the service ends")
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _tell_all(self) -> None:
        failures = 0
        while self._waiting:
            line = self._waiting[0]
            failures = 0 if await self._told(line) else failures + 1
            if failures:
                await asyncio.sleep(self._pauses[min(failures, len(self._pauses)) - 1])
            elif self._waiting and self._waiting[0] is line:
                self._waiting.popleft()

    async def _told(self, line: bytes) -> bool:
        try:
            await asyncio.to_thread(self._send, line)
        except (OSError, HTTPException, ValueError) as error:
            self._complain(words_of(error))
            return False
        return True

    def _complain(self, error: str) -> None:
        waiting = len(self._waiting)
        log.say(names.CHECKPOINT_UNTOLD, WARNING, outlet=self.name, error=error, waiting=waiting)
