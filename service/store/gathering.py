"""Pieces of work that come while another is being done, or that can wait a moment -> done together.

Refuses to let anybody wait for company who is in a hurry: a piece that comes alone is done at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

Piece = TypeVar("Piece")
Result = TypeVar("Result")

MOST = 32
"""Pieces that are done together, at most."""


class Gathering(Generic[Piece, Result]):
    """Does pieces by `work`, which gives for each its result or the error that is its own.

    What `work` raises every piece of it is told.
    """

    def __init__(self, work: Callable[[Sequence[Piece]], Awaitable[Sequence[Result | Exception]]]) -> None:
        self._work = work
        self._waiting: list[tuple[Piece, asyncio.Future[Result]]] = []
        self._busy, self._patience = False, 0.0
        self._task: asyncio.Task[None] | None = None

    async def do(self, piece: Piece, patience: float = 0.0) -> Result:
        """Have a piece done, which may wait so many seconds for others.

        Cancelled, it may be done still, with others that somebody waits for.
        """
        self._patience = patience
        if self._busy or patience > 0:
            return await self._with_others(piece)
        self._busy = True
        try:
            (result,) = await self._work((piece,))
        finally:
            self._go_on()
        if isinstance(result, Exception):
            raise result
        return result

    async def _with_others(self, piece: Piece) -> Result:
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((piece, future))
        if not self._busy:
            self._go_on()
        return await future

    def _go_on(self) -> None:
        """Do what waits, soon; whoever comes until then comes along."""
        self._busy = bool(self._waiting)
        if self._busy:
            # Not in the context of whoever came first: that may be a turn's span.
            loop, context = asyncio.get_running_loop(), Context()
            if self._patience > 0:
                loop.call_later(self._patience, self._begin, context=context)
            else:
                loop.call_soon(self._begin, context=context)

    def _begin(self) -> None:
        self._waiting = [each for each in self._waiting if not each[1].done()]  # some were cancelled
        if self._waiting:
            self._task = asyncio.create_task(self._together(), name="gathered")
        else:
            self._busy = False

    async def _together(self) -> None:
        gathered, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        _end_unawaited(self._task, [future for _, future in gathered])
        try:
            results = await self._work([piece for piece, _ in gathered])
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            results = [error] * len(gathered)
        finally:
            self._go_on()
        for (_, future), result in zip(gathered, results, strict=True):
            _tell(future, result)


def _end_unawaited(work: asyncio.Task[None] | None, futures: Sequence[asyncio.Future[Result]]) -> None:
    """Have work end once nobody waits for any of it: at a stop it would hold a connection until the last."""

    def left(_: asyncio.Future[Result]) -> None:
        if work and all(future.cancelled() for future in futures):
            work.cancel()

    for future in futures:
        future.add_done_callback(left)


def _tell(future: asyncio.Future[Result], result: Result | Exception) -> None:
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
