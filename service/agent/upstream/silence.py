"""How long a model's API may say nothing, counted in short slices of this process's own time.

Refuses to take our own lateness for silence: an event loop that stands still spends one slice, and looks at
its sockets before the next. Refuses to take pings for progress: only what is told to it is.
"""

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType

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
        self._ours = Ours(self._slices)

    def bounding(self) -> AbstractAsyncContextManager[object]:
        """Bound the block; raises Silent where it is silent for too long."""
        return self

    async def __aenter__(self) -> None:
        await self._slices.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._slices.__aexit__(kind, error, trace)
        except TimeoutError as late:
            raise Silent from late

    def broken(self) -> None:
        """An event came."""
        self._slices.begin(self._between)

    def ours(self) -> AbstractContextManager[object]:
        """While the block runs it is us who are waited for: a client that reads slowly, say."""
        return self._ours


class Ours:
    """Time that is not the API's, after which it has all of its own again."""

    def __init__(self, slices: Slices) -> None:
        self._slices = slices

    def __enter__(self) -> None:
        self._slices.held = True

    def __exit__(self, *_: object) -> None:
        self._slices.held = False
        self._slices.refill()
