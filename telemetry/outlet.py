"""A place outside that something is told to: in order, in its own time, until it takes it.

Refuses to be in the way: what waits for a place that does not answer is bounded, and the oldest gives way.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.client import HTTPException
from threading import Thread
from typing import Generic, TypeVar

from telemetry.failure import words_of

T = TypeVar("T")

CAPACITY = 100
"""Messages that wait."""
PAUSES = (1.0, 5.0, 15.0, 60.0)
"""Seconds between attempts; the last one repeats."""

Send = Callable[[T], None]
"""Takes one message to its place; runs on a thread; raises OSError, HTTPException or ValueError."""
Complain = Callable[[str, str, int], None]
"""Hears which place did not take a message, why, and how many wait."""


class Outlet(Generic[T]):
    """One such place.

    Args:
        name: Says which, in complaints.
        send: Takes one message there.
        complain: Hears of every attempt that failed and of every message that is given up.
        pauses: Seconds between attempts.
        attempts: After so many a message is given up; None for never.
    """

    def __init__(
        self,
        name: str,
        send: Send[T],
        complain: Complain,
        *,
        pauses: Sequence[float] = PAUSES,
        attempts: int | None = None,
    ) -> None:
        self.name = name
        self._send, self._complaint = send, complain
        self._pauses, self._attempts = pauses, attempts
        self._waiting: deque[T] = deque(maxlen=CAPACITY)
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> tuple[T, ...]:
        """What is owed, the oldest first."""
        return tuple(self._waiting)

    def tell(self, message: T) -> None:
        """Owe it one more."""
        if len(self._waiting) == CAPACITY:
            self._complain("the oldest of those that wait is not told any more")
        self._waiting.append(message)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._tell_all(), name=f"telling {self.name}")

    async def finish(self, seconds: float) -> None:
        """Wait for so long until all is told; what is not told then is left."""
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
            message = self._waiting[0]
            failures = 0 if await self._told(message) else failures + 1
            if failures == self._attempts:
                self._complain(f"not told in {failures} attempts, and given up")
                failures = 0
            if failures:
                await asyncio.sleep(self._pauses[min(failures, len(self._pauses)) - 1])
            elif self._waiting and self._waiting[0] is message:
                self._waiting.popleft()

    async def _told(self, message: T) -> bool:
        try:
            await _on_a_thread(self._send, message)
        except (OSError, HTTPException, ValueError) as error:
            self._complain(words_of(error))
            return False
        return True

    def _complain(self, error: str) -> None:
        self._complaint(self.name, error, len(self._waiting))


async def _on_a_thread(send: Send[T], message: T) -> None:
    """On one of its own, which the process's end does not wait for: a place may hang for long."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[BaseException | None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if not done.done():
            done.set_result(error)

    def work() -> None:
        error: BaseException | None = None
        try:
            send(message)
        except BaseException as raised:  # noqa: BLE001 - it is raised where it is waited for
            error = raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, error)

    Thread(target=work, name="outlet", daemon=True).start()
    if (error := await done) is not None:
        raise error
