"""Money for turns: put aside at its worst case before the model is asked, at its cost once it is over.

Refuses to guess while the ledger is away: what was put aside beforehand is spent, then nobody is let in.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import count
from logging import WARNING

from msgspec import structs

from config.settings import Budgets
from service.errors import BudgetUnavailable
from service.limits.budget.chunks import Chunks
from service.limits.budget.ledger import Answer, Ledger, LedgerAway, Standing, Want, want_of
from service.limits.budget.meters import Meters
from service.limits.budget.standing import BudgetStanding, Granted
from service.limits.budget.teller import NAME, Teller
from telemetry import log, names, sink
from telemetry.failure import words_of
from telemetry.record import Caller, Reserved
from telemetry.recorder import microseconds

AWAY = "The ledger of budgets does not answer."
RETRY_MS = 1_000
TEND_SECONDS, LOOKS = 60.0, 10
"""Between two looks at chunks that are idle; each so many of them, whether the ledger fits the events."""
LOOK_SECONDS = 1.0
"""That a look at standings waits."""


class Purse:
    """The budgets of one process.

    Args:
        ledger: Where money is kept, over all processes.
        budgets: What is set, asked each time: it may change while the service runs.
        writer: The journal of this process, after whose end what it put aside goes back.
        lease_ms: How long a turn may last, with what its end may take.
        clock: Microseconds since 1970 (UTC).
        audited: Whether turns leave events that settle them; else their end is told to the ledger.
        since: From when on all events are kept.
    """

    def __init__(
        self,
        ledger: Ledger,
        budgets: Callable[[], Budgets],
        writer: str,
        lease_ms: int,
        clock: Callable[[], int] = microseconds,
        *,
        audited: bool = True,
        since: Callable[[], int] = lambda: 0,
    ) -> None:
        self._ledger, self._budgets, self._lease_ms, self._clock = ledger, budgets, lease_ms, clock
        self._audited, self._since = audited, since
        self.meters = Meters(clock)
        self._teller = Teller(ledger, writer, clock, self.meters.heed)
        self._chunks = Chunks(self._teller, lease_ms, clock)
        self._task: asyncio.Task[None] | None = None

    @property
    def away(self) -> bool:
        """Whether the ledger is known not to answer."""
        return self._teller.away

    async def start(self) -> None:
        """Work from now on."""
        self.meters.start(self._limits())
        await self._teller.start()
        self._task = asyncio.create_task(self._tend(), name="budgets tended")

    async def stop(self) -> None:
        """Give back what was put aside beforehand, tell what waits to be told, then end."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._chunks.clear()
        await self._teller.stop()

    def has_budget(self, caller: Caller) -> bool:
        """Whether any budget holds for the caller."""
        del caller  # they hold for everybody
        return bool(self._limits())

    async def reserve(
        self,
        caller: Caller,
        lease: str,
        micros: int,
        at: int,
        *,
        least: int | None = None,
        force: bool = False,
    ) -> Granted | BudgetStanding:
        """Put money aside for a turn, all or nothing of its budgets.

        Args:
            caller: Whose turn it is.
            lease: The turn's id.
            micros: Its worst case.
            at: When it was opened: the day and the month that it is charged to.
            least: With how much less it does, where that is all that is left; None: with nothing less.
            force: Put it aside whatever the budgets say.

        Returns:
            What was put aside, else the budget that refuses: of several the one that lasts longest.

        Raises:
            BudgetUnavailable: the ledger does not answer, and nothing is left that was leased before.
        """
        want = structs.replace(
            want_of(caller, lease, self._limits(), at, self._clock() + self._lease_ms * 1_000),
            micros=micros,
            least=micros if least is None else min(least, micros),
            force=force,
        )
        try:
            answer = await self._asked(want)
        except LedgerAway:
            return self._without(want)
        return self._granted(want, answer)

    def close(self, reserved: Reserved, charged_micros: int) -> None:
        """The turn is over and cost so much; never raises, never waits."""
        if self._chunks.end(reserved, charged_micros):
            return
        if not self._audited:
            self._teller.charge(reserved.lease, charged_micros)
        elif charged_micros != reserved.micros:
            self._teller.give_back(reserved.lease, reserved.micros - charged_micros)

    def release(self, reserved: Reserved) -> None:
        """The model was never asked."""
        self.close(reserved, 0)

    async def standings(self, caller: Caller, at: int) -> tuple[BudgetStanding, ...]:
        """How the caller's budgets stand at a moment.

        Raises:
            BudgetUnavailable: the ledger does not answer.
        """
        limits = self._limits()
        if not limits:
            return ()
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                found = await self._ledger.standings(caller.person, caller.role, at, limits)
        except Exception as error:
            raise BudgetUnavailable(AWAY, retry_after_ms=RETRY_MS) from error
        return tuple(map(self._standing, found))

    async def _asked(self, want: Want) -> Answer:
        """The ledger's answer; where it falls short, another one with what this process's chunks had."""
        answer = await self._teller.ask(want)
        if (answer.micros or 0) < want.micros and self._chunks.recall(want):
            try:
                return await self._teller.ask(want)
            except BaseException:  # a part was put aside already, and nobody is told of it
                self._teller.give_back(want.lease, want.micros)
                raise
        return answer

    def _granted(self, want: Want, answer: Answer) -> Granted | BudgetStanding:
        if answer.micros is None:
            refusing = self._latest(each for each in answer.standings if _left(each) < want.least)
            if refusing is None:  # nothing in its way any more, and it has been told no
                raise BudgetUnavailable(AWAY, retry_after_ms=RETRY_MS)
            self.meters.refuse(refusing.name)
            return refusing
        if self._audited and not want.force:
            self._chunks.use(want)
        over = self._latest(each for each in answer.standings if _left(each) < 0)
        return Granted(reserved=Reserved(lease=want.lease, micros=answer.micros), over=over)

    def _without(self, want: Want) -> Granted:
        """What can be had while the ledger is away."""
        if want.force:  # nothing is refused: the turn's event will charge it
            return Granted(reserved=Reserved(lease=want.lease, micros=want.micros))
        reserved = self._chunks.lend(want)
        if reserved is None:
            raise BudgetUnavailable(AWAY, retry_after_ms=RETRY_MS)
        return Granted(reserved=reserved)

    def _limits(self) -> Mapping[str, int]:
        """What is set, by the budgets' names."""
        return {name: limit for name, limit in structs.asdict(self._budgets()).items() if limit is not None}

    def _latest(self, standings: Iterable[Standing]) -> BudgetStanding | None:
        found = max(standings, key=lambda each: each.ends_at, default=None)
        return self._standing(found) if found else None

    def _standing(self, each: Standing) -> BudgetStanding:
        left = max(0, each.ends_at - self._clock())
        return BudgetStanding(
            name=each.name,
            limit=each.limit,
            spent=each.spent,
            reserved=each.reserved,
            reset_ms=-(-left // 1_000),
        )

    async def _tend(self) -> None:
        """What has its own time."""
        for number in count():
            self._chunks.tidy()
            if number % LOOKS == 0:
                await self._look()
            await asyncio.sleep(TEND_SECONDS)

    async def _look(self) -> None:
        """See whether the ledger fits the events."""
        if not (self._audited and self._limits()):
            return
        try:
            found = await self._ledger.differences(self._clock(), self._since())
        except Exception as error:  # noqa: BLE001 - whatever it is, it is looked again
            sink.count_failure(NAME)
            log.say(names.SINK_FAILED, WARNING, sink=NAME, verb="look", error=words_of(error))
        else:
            self.meters.drift = sum(each.drift for each in found)


def _left(each: Standing) -> int:
    return each.limit - each.spent - each.reserved
