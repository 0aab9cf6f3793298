"""The one who speaks to the ledger: whatever waits goes in one transaction, one transaction at a time.

Refuses to let anybody wait for a ledger that does not answer: they are told so, and it is asked on.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from logging import WARNING

from msgspec import Struct

from service.limits.budget.ledger import Answer, Ledger, LedgerAway, Want
from telemetry import log, names, sink
from telemetry.failure import words_of

NAME = "budgets"
MOST = 256
"""Wants in one transaction, and as many of what is given back."""
SLICES, SLICE_SECONDS = 100, 0.01
"""A second. Counted in slices: where this process itself is late, that is not the ledger's silence."""
PAUSE_SECONDS = 0.5
"""Between two tries while it is away."""
STOP_SECONDS = 2.0

Done = Callable[[Answer | None], None]


class Asking(Struct, frozen=True, eq=False):
    """A want, and who waits for the answer."""

    want: Want
    answer: asyncio.Future[Answer]


class Batch(Struct, frozen=True):
    """What goes in one transaction."""

    asks: Sequence[Asking]
    returns: Mapping[str, int]
    charges: Mapping[str, int]


class Teller:
    """Gathers what a process wants of the ledger. `heed` hears every answer, also one nobody waits for."""

    def __init__(
        self, ledger: Ledger, writer: str, clock: Callable[[], int], heed: Callable[[Want, Answer], None]
    ) -> None:
        self._ledger, self._writer, self._clock, self._heed = ledger, writer, clock, heed
        self._asks, self._later = deque[Asking](), deque[Asking]()
        self._returns: dict[str, int] = {}
        self._charges: dict[str, int] = {}
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self.away = False

    async def start(self) -> None:
        """Work from now on."""
        self._task = asyncio.create_task(self._run(), name=NAME)

    async def stop(self) -> None:
        """Tell what waits to be told, as far as the ledger answers; then end."""
        self._stopping = True
        self._woken.set()
        if self._task:
            await asyncio.wait((self._task,), timeout=STOP_SECONDS)
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def ask(self, want: Want) -> Answer:
        """Have the ledger decide.

        Raises:
            LedgerAway: it does not answer, or is known not to; whatever becomes of this want is given back.
        """
        if self.away or self._stopping:
            raise LedgerAway
        asking = self._put(self._asks, want)
        try:
            return await asking.answer
        except asyncio.CancelledError:
            if asking.answer.done() and not asking.answer.cancelled() and not asking.answer.exception():
                self.give_back(want.lease, want.micros)  # it was told in the moment of the cancel
            raise

    def later(self, want: Want, done: Done) -> None:
        """The same for what nobody waits for: `done` hears the answer, None where there is none."""
        if self.away or self._stopping:
            done(None)
        else:
            self._put(self._later, want).answer.add_done_callback(lambda told: done(_answer(told)))

    def give_back(self, lease: str, returned: int) -> None:
        """So much of a reservation was given back in all."""
        self._returns[lease] = returned
        self._woken.set()

    def charge(self, lease: str, micros: int) -> None:
        """A reservation came to so much, and no event will tell of it."""
        self._charges[lease] = micros
        self._woken.set()

    def _put(self, line: deque[Asking], want: Want) -> Asking:
        asking = Asking(want, asyncio.get_running_loop().create_future())
        line.append(asking)
        self._woken.set()
        return asking

    async def _run(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            while batch := self._next():
                await self._do(batch)
                if self.away:
                    await asyncio.sleep(PAUSE_SECONDS)
            if self._stopping:
                return

    def _next(self) -> Batch | None:
        """What is to be told now; while it is away an empty batch, which asks whether it still is."""
        asks = _taken(self._asks, MOST)
        asks += _taken(self._later, MOST - len(asks))
        batch = Batch(asks, _first(self._returns), _first(self._charges))
        if self._stopping and self.away:
            return None
        return batch if self.away or asks or batch.returns or batch.charges else None

    async def _do(self, batch: Batch) -> None:
        wants = [each.want for each in batch.asks]
        work = self._ledger.work(self._writer, self._clock(), wants, batch.returns, batch.charges)
        task = asyncio.ensure_future(work)
        try:
            if not await _in_time(task):
                self._leave(batch)
            answers = await task
        except asyncio.CancelledError:
            task.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, everything is told again
            self._failed(batch, error)
        else:
            self._done(batch, answers)

    def _done(self, batch: Batch, answers: Sequence[Answer]) -> None:
        self.away = False
        _strike(self._returns, batch.returns)
        _strike(self._charges, batch.charges)
        for asking, answer in zip(batch.asks, answers, strict=True):
            self._heed(asking.want, answer)
            if not asking.answer.done():
                asking.answer.set_result(answer)
            elif answer.micros:
                self.give_back(asking.want.lease, answer.micros)

    def _failed(self, batch: Batch, error: Exception) -> None:
        if not self.away:
            sink.count_failure(NAME)
            log.say(names.SINK_FAILED, WARNING, sink=NAME, verb="work", error=words_of(error))
        for asking in batch.asks:  # nobody knows whether it was put aside
            self.give_back(asking.want.lease, asking.want.micros)
        self._leave(batch)

    def _leave(self, batch: Batch) -> None:
        """It is away: nobody needs to wait any longer."""
        self.away = True
        for asking in (*batch.asks, *self._asks, *self._later):
            if not asking.answer.done():
                asking.answer.set_exception(LedgerAway())
                asking.answer.exception()  # of a chunk nobody asks for it
        self._asks.clear()
        self._later.clear()


async def _in_time(task: asyncio.Future[Sequence[Answer]]) -> bool:
    for _ in range(SLICES):
        done, _ = await asyncio.wait({task}, timeout=SLICE_SECONDS)
        if done:
            return True
    return False


def _answer(told: asyncio.Future[Answer]) -> Answer | None:
    return None if told.cancelled() or told.exception() else told.result()


def _taken(line: deque[Asking], most: int) -> list[Asking]:
    """The first ones that somebody still waits for."""
    taken: list[Asking] = []
    while line and len(taken) < most:
        asking = line.popleft()
        if not asking.answer.done():
            taken.append(asking)
    return taken


def _first(told: Mapping[str, int]) -> Mapping[str, int]:
    return dict(islice(told.items(), MOST))


def _strike(told: dict[str, int], sent: Mapping[str, int]) -> None:
    """Forget what was told, unless there is something newer to tell."""
    for lease, number in sent.items():
        if told.get(lease) == number:
            del told[lease]
