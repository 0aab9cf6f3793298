"""How long a model's API may say nothing, counted in short slices of this process's own time.

Refuses to take our own lateness for silence: an event loop that stands still spends one slice, and looks at
its sockets before the next. Refuses to take pings for progress: only what is told to it is.
"""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

from msgspec import Struct

from service.slices import Slices

SLICES = 10


class Times(Struct, frozen=True, kw_only=True):
    """Seconds that an API may take: to be connected to, to its first event, from each event to the next."""

    connect: float = 5.0
    first: float = 30.0
    between: float = 30.0


class Silent(Exception):
    """Nothing came for too long."""


class Silence:
    """The silence of one answer."""

    def __init__(self, times: Times) -> None:
        self._slices, self._between = Slices(times.first, SLICES), times.between

    @asynccontextmanager
    async def bounding(self) -> AsyncGenerator[None]:
        """Bound the block; raises Silent where it is silent for too long."""
        try:
            async with self._slices.bounding():
                yield
        except TimeoutError as error:
            if self._slices.expired:
                raise Silent from error
            raise

    def broken(self) -> None:
        """An event came."""
        self._slices.begin(self._between)

    @contextmanager
    def ours(self) -> Generator[None]:
        """While the block runs it is us who are waited for: a client that reads slowly, say."""
        self._slices.held = True
        try:
            yield
        finally:
            self._slices.held = False
            self._slices.refill()
