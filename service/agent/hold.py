"""What a turn holds while it runs and lets go of at its end: its conversation, its idempotency key.

Refuses to keep a client waiting: what is not settled in time goes on being settled in the background.
"""

import asyncio
from collections.abc import Mapping, Sequence
from logging import WARNING
from typing import Any, Protocol

from msgspec import Struct

from service.errors import DatabaseError
from telemetry import log, names
from telemetry.failure import words_of
from telemetry.record import TurnRecord

PATIENCE = 0.3
"""Seconds that the end of an answer waits for what is settled."""
PAUSES = (0.05, 0.5, 2.0, 5.0)
"""Seconds between attempts while the database is away; the last one repeats."""
CAPACITY = 1_000
"""Holds that wait for the database at once; any more get one attempt."""
STOP_SECONDS = 2.0
"""That a stop waits for what is not settled."""

Message = Mapping[str, Any]
"""One message in the Messages API's form."""


class Answer(Struct, frozen=True, kw_only=True):
    """A turn that was answered: its record, what was said in it by either side, and the text of it."""

    record: TurnRecord
    messages: Sequence[Message]
    text: str


class Hold(Protocol):
    """Something a turn has for itself alone."""

    name: str
    """What it is, in the log."""

    async def settle(self, answer: Answer | None) -> None:
        """Let go; keep what an answered turn leaves. Called again where it raises DatabaseError."""
        ...

    def abandon(self) -> None:
        """Let go in this process, without another attempt."""
        ...


class Settlement:
    """Settles what turns held."""

    def __init__(self, pauses: Sequence[float] = PAUSES, capacity: int = CAPACITY) -> None:
        self._pauses, self._capacity = pauses, capacity
        self._tasks: set[asyncio.Task[None]] = set()

    async def settle(self, holds: Sequence[Hold], answer: Answer | None) -> None:
        """Settle these; returns when all are, or when PATIENCE is over. Cancelled, they are settled still."""
        tasks = [asyncio.create_task(self._until_settled(hold, answer), name=hold.name) for hold in holds]
        for task in tasks:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if tasks:
            await asyncio.wait(tasks, timeout=PATIENCE)

    async def stop(self) -> None:
        """Wait for what is not settled, but not for long."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_SECONDS)
        left = tuple(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _until_settled(self, hold: Hold, answer: Answer | None) -> None:
        failures = 0
        try:
            while not await self._settled(hold, answer, first=not failures):
                await asyncio.sleep(self._pauses[min(failures, len(self._pauses) - 1)])
                failures += 1
        except asyncio.CancelledError:
            _complain(hold, "the service stopped before it was written", again=False)
            raise
        except Exception as error:  # noqa: BLE001 - nobody waits for this task; the log has to know
            _complain(hold, words_of(error), again=False)
        finally:
            hold.abandon()

    async def _settled(self, hold: Hold, answer: Answer | None, *, first: bool) -> bool:
        """Try once; False where another attempt makes sense."""
        try:
            await hold.settle(answer)
        except DatabaseError as error:
            if len(self._tasks) > self._capacity:
                raise
            if first:
                _complain(hold, words_of(error), again=True)
            return False
        return True


def _complain(hold: Hold, error: str, *, again: bool) -> None:
    log.say(names.SETTLE_FAILED, WARNING, hold=hold.name, error=error, again=again)
