"""Decisions whose asker left before they came: what they still give is given back.

Refuses to cut a decision short: one that was sent may count, and only its verdict says what there is to give
back.
"""

import asyncio
from collections.abc import Awaitable, Callable

from service.limits.demand import Verdict

GiveBack = Callable[[Verdict], Awaitable[None]]


class Orphans:
    """Waits for decisions on behalf of whoever asked, and in their place once they left."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    async def wait(self, deciding: Awaitable[Verdict], give_back: GiveBack) -> Verdict:
        """The verdict; where the wait is cancelled, what it gives is given back when it comes."""
        decision = asyncio.ensure_future(deciding)
        try:
            return await asyncio.shield(decision)
        except asyncio.CancelledError:
            task = asyncio.create_task(_give_back(decision, give_back))
            self._tasks.add(task)  # the loop itself keeps only weak references
            task.add_done_callback(self._tasks.discard)
            raise

    async def close(self) -> None:
        """Wait for what has not come yet."""
        while self._tasks:
            await asyncio.wait(self._tasks)


async def _give_back(decision: asyncio.Future[Verdict], give_back: GiveBack) -> None:
    await asyncio.wait((decision,))
    if not decision.cancelled() and not decision.exception():
        await give_back(decision.result())
