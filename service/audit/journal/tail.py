"""What is written and not yet known to be on the disk, and who waits for it.

Refuses to forget a row before the disk has it: after an error it is written again from here.
"""

import asyncio
from collections import deque
from collections.abc import Iterable

from msgspec import Struct

from service.audit.journal.shelf import Position


class Unsynced(Struct, frozen=True):
    """A row's frame and where it lies; `ticket` numbers the writes."""

    ticket: int
    place: Position
    frame: bytes


class Tail:
    """`written` is the ticket of the latest write, `synced` that of the latest write on the disk."""

    def __init__(self) -> None:
        self.written = self.synced = 0
        self.rows: deque[Unsynced] = deque()
        self._waiting: deque[tuple[int, asyncio.Future[bool]]] = deque()

    def next(self) -> int:
        """The ticket of a new write."""
        self.written += 1
        return self.written

    def replace(self, rows: Iterable[Unsynced]) -> None:
        """Hold these instead: they were written again."""
        self.rows = deque(rows)

    def wait(self) -> asyncio.Future[bool]:
        """A future for all that is written so far: True once it is on the disk, False when it cannot be."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((self.written, future))
        return future

    def advance(self, ticket: int) -> None:
        """Everything up to this ticket is on the disk."""
        self.synced = max(self.synced, ticket)
        while self.rows and self.rows[0].ticket <= ticket:
            self.rows.popleft()
        while self._waiting and self._waiting[0][0] <= ticket:
            _resolve(self._waiting.popleft()[1], to=True)

    def give_up(self) -> None:
        """Tell all that wait that the disk does not have it."""
        while self._waiting:
            _resolve(self._waiting.popleft()[1], to=False)


def _resolve(future: asyncio.Future[bool], *, to: bool) -> None:
    if not future.done():  # whoever waited may have been cancelled
        future.set_result(to)
