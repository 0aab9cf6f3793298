"""Looks for what others decide, in whichever process, for all that wait in this one: by one question.

Refuses to ask while nobody waits, and to give up where nobody can look: whoever waits has their own time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from contextvars import Context

from service.errors import DatabaseError
from service.store.approvals import Decided, Key

EVERY = 0.25
"""Seconds between two looks; a decision that comes to this process is looked for at once."""

Look = Callable[[Collection[str]], Awaitable[Mapping[Key, Decided | None]]]
"""Turns -> what became of their calls so far, None of one that waits; raises DatabaseError."""


class Lookout:
    """All that wait in this process; what they wait for is in the store before they do."""

    def __init__(self, look: Look, every: float = EVERY) -> None:
        self._look, self._every = look, every
        self._waiting: dict[Key, asyncio.Future[Decided | None]] = {}
        self._hurried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def wait(self, key: Key) -> Decided | None:
        """What was decided of a call, once somebody has; None where it is not there any more."""
        future: asyncio.Future[Decided | None] = asyncio.get_running_loop().create_future()
        self._waiting[key] = future
        if self._task is None or self._task.done():
            # Not in the context of whoever waits: its questions are no part of a turn's span.
            self._task = asyncio.create_task(self._watch(), name="approvals", context=Context())
        try:
            return await future
        finally:
            del self._waiting[key]

    def hurry(self) -> None:
        """Something was decided here."""
        self._hurried.set()

    async def close(self) -> None:
        """Look no more."""
        if self._task:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def _watch(self) -> None:
        while self._waiting:
            self._hurried.clear()
            await self._tell()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self._hurried.wait()

    async def _tell(self) -> None:
        # Of those alone who waited before the look: what came later may not have been seen by it.
        waiting = dict(self._waiting)
        with suppress(DatabaseError):
            found = await self._look({turn_id for turn_id, _ in waiting})
            for key, future in waiting.items():
                if (key not in found or found[key]) and not future.done():
                    future.set_result(found.get(key))
