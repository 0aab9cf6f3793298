"""What a turn holds while it runs and lets go of at its end: its conversation, its idempotency key.

Refuses to keep a client waiting: what is not settled in time goes on being settled in the background.
"""

import asyncio
from collections.abc import Mapping, Sequence
from logging import WARNING
from typing import Any, Protocol

from msgspec import UNSET, Struct, UnsetType

from service.errors import DatabaseAway, DatabaseError, RowRefused
from telemetry import log, names
from telemetry.failure import words_of
from telemetry.record import TurnRecord
from telemetry.sink import count_failure

PATIENCE = 0.3
"""Seconds that the end of an answer waits for what is settled."""
PAUSES = (0.05, 0.5, 2.0, 5.0)
"""Seconds between attempts while the database is away; the last one repeats."""
CAPACITY = 10_000
"""Holds that wait for the database at once; any more get one attempt."""
ROOM = 64 << 20
"""Characters of all that was said in the turns whose holds wait; any more get one attempt."""
HOLDS = ("conversation", "idempotency_key")
"""What there is to hold; what is dropped of each is counted."""
STOP_SECONDS = 2.0
"""That a stop waits for what is not settled."""

Message = Mapping[str, Any]
"""One message in the Messages API's form."""


class Answer(Struct, frozen=True, kw_only=True):
    """A turn that was answered: its record, what was said in it by either side, and the text of it.

    `structured` is the value that the text is, where an answer in JSON was asked for.
    """

    record: TurnRecord
    messages: Sequence[Message]
    text: str
    structured: Any = UNSET
    thinking: str | UnsetType = UNSET
    """What the model thought, where that was asked for."""


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
    """Settles what turns held; what cannot be settled now waits in memory, up to its bounds."""

    def __init__(self, pauses: Sequence[float] = PAUSES, capacity: int = CAPACITY, room: int = ROOM) -> None:
        self._pauses, self._capacity, self._room = pauses, capacity, room
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._waiting: dict[Hold, int] = {}
        self._held, self._dropping = 0, False
        for name in HOLDS:
            count_failure(name, 0)

    @property
    def waiting(self) -> int:
        """Holds that wait for another attempt."""
        return len(self._waiting)

    async def settle(self, holds: Sequence[Hold], answer: Answer | None) -> None:
        """Settle these. Cancelled, they are settled still.

        Returns when all are settled or known to be late, at the latest when PATIENCE is over.
        """
        seen = [self._begin(hold, answer) for hold in holds]
        if seen:
            await asyncio.wait(seen, timeout=PATIENCE)

    def _begin(self, hold: Hold, answer: Answer | None) -> asyncio.Future[None]:
        """Start to settle; ends when that is done, or will take a while."""
        seen: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._until_settled(hold, answer, seen), name=hold.name)
        self._tasks[task] = hold.name
        task.add_done_callback(self._tasks.pop)
        return seen

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Wait for what is not settled, but not for long, and no longer than that."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=min(seconds, STOP_SECONDS))
        left = dict(self._tasks)
        if left:
            kinds = ", ".join(sorted(set(left.values())))
            _complain(kinds, f"the service stopped before {len(left)} were written", again=False)
        for task, name in left.items():
            count_failure(name)
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _until_settled(self, hold: Hold, answer: Answer | None, seen: asyncio.Future[None]) -> None:
        failures = 0
        try:
            while not await self._settled(hold, answer, seen):
                await asyncio.sleep(self._pauses[min(failures, len(self._pauses) - 1)])
                failures += 1
        except Exception as error:  # noqa: BLE001 - nobody waits for this task; the log has to know
            self._drop(hold, error)
        finally:
            self._held -= self._waiting.pop(hold, 0)
            hold.abandon()
            _end(seen)

    async def _settled(self, hold: Hold, answer: Answer | None, seen: asyncio.Future[None]) -> bool:
        """Try once; False where another attempt makes sense."""
        try:
            await hold.settle(answer)
        except RowRefused:
            raise
        except DatabaseError as error:
            if hold not in self._waiting:
                self._wait(hold, answer, error)
            if isinstance(error, DatabaseAway):
                _end(seen)
            return False
        return True

    def _wait(self, hold: Hold, answer: Answer | None, error: DatabaseError) -> None:
        """Let a hold wait, where there is room for it; raises the error where there is none.

        Of those that wait because the database is known to be away the first is told of.
        """
        length = len(repr(answer.messages)) if answer else 0
        if self.waiting >= self._capacity or self._held + length > self._room:
            raise error
        if not self._waiting or not isinstance(error, DatabaseAway):
            _complain(hold.name, words_of(error), again=True)
        self._waiting[hold], self._dropping = length, False
        self._held += length

    def _drop(self, hold: Hold, error: Exception) -> None:
        """Count what is not written; of many for which there is no room the first is told of."""
        count_failure(hold.name)
        crowded = isinstance(error, DatabaseError) and not isinstance(error, RowRefused)
        if not (crowded and self._dropping):
            words = f"{words_of(error)} {self.waiting} wait already." if crowded else words_of(error)
            _complain(hold.name, words, again=False)
        self._dropping = crowded


def _end(seen: asyncio.Future[None]) -> None:
    if not seen.done():
        seen.set_result(None)


def _complain(hold: str, error: str, *, again: bool) -> None:
    log.say(names.SETTLE_FAILED, WARNING, hold=hold, error=error, again=again)
