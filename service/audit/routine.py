"""Something that is done once a day while the service runs, such as removing what is too old.

Refuses to give up: what fails is told, and tried again an hour later.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from logging import WARNING

from telemetry import log, names, sink
from telemetry.failure import words_of

DAY, HOUR = 86_400.0, 3_600.0
FIRST = 60.0
"""Seconds after the start: who starts a service wants it to answer first."""


class Routine:
    """Does its work in the background; `name` is what a failure is told under."""

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[object]],
        waits: tuple[float, float, float] = (FIRST, DAY, HOUR),
    ) -> None:
        self._name, self._work = name, work
        self._first, self._every, self._again = waits
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to wait for the first time."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """End, in the middle of its work too: it is done again another day."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        pause = self._first
        while True:
            await asyncio.sleep(pause)
            pause = self._every if await self._done() else self._again

    async def _done(self) -> bool:
        try:
            await self._work()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and tried again
            sink.count_failure(self._name)
            log.say(names.SINK_FAILED, WARNING, sink=self._name, verb="routine", error=words_of(error))
            return False
        return True
