"""One period of the log, added up by slots: what is new is read as it comes, what was before once, backwards.

Refuses to read while nobody looks, and to read more than a stretch at once: whoever else asks comes between.
"""

import time
from collections.abc import Callable

from msgspec import Struct, field

from service.store.pulse import SLICE, Counted, Pulse, Stretch, Used
from service.web.operations.period import Frame
from service.web.operations.quantiles import Histogram
from service.web.operations.slices import Slices
from telemetry import names

STRETCH = 5_000
"""Places of the log that are added up by one statement."""
PATIENCE = 0.5
"""Seconds for which one look reads what was before; the next look goes on."""

Kind = tuple[str | None, str | None, str | None, str | None]
"""Of turns outcome, code, role, model; of users subject, role, decision, policy."""


class Sum(Struct):
    """Turns, their cost in micro-dollars, their tokens, and the smallest part of a limit that was left."""

    turns: int = 0
    cost: int = 0
    tokens: int = 0
    least: float | None = None

    def add(self, more: "Counted | Used | Sum", least: float | None = None) -> None:
        """Add what is like it."""
        self.turns += more.turns
        self.cost += more.cost
        self.tokens += more.tokens
        if least is not None:
            self.least = least if self.least is None else min(self.least, least)


class Slot(Struct):
    """What ended within one slot."""

    turns: dict[Kind, Sum] = field(default_factory=dict[Kind, Sum])
    users: dict[Kind, Sum] = field(default_factory=dict[Kind, Sum])
    times: Histogram = field(default_factory=lambda: Histogram(names.TURN_BUCKETS))
    firsts: Histogram = field(default_factory=lambda: Histogram(names.SECONDS_BUCKETS))


class Lens:
    """One period over one log. `clock` gives seconds that never go back."""

    def __init__(
        self,
        pulse: Pulse,
        frame: Frame,
        clock: Callable[[], float] = time.monotonic,
        stretch: int = STRETCH,
    ) -> None:
        self.frame, self._pulse, self._clock, self._stretch = frame, pulse, clock, stretch
        self._begin()

    def _begin(self) -> None:
        self.slots: dict[int, Slot] = {}
        self.slices = Slices()
        self._looked = self._upto = self._low = self._floor = -1

    @property
    def complete(self) -> bool:
        """Whether all of the period was read."""
        return self._looked >= 0 and self._low <= self._floor

    @property
    def whole(self) -> bool:
        """Whether that is all of the log: there was nothing before."""
        return self.complete and self._floor == 0

    async def look(self, now: int) -> None:
        """Read what is new, and go on with what was before, for a moment; raises DatabaseError.

        `now` is microseconds since 1970 (UTC).
        """
        if self._looked < 0 or now - self._looked > self.frame.span:
            self._begin()
            head = await self._pulse.head()
            first = await self._pulse.first(now - self.frame.reach)
            self._upto = self._low = head
            self._floor = head if first is None else first
        self._looked = now
        await self._read_new()
        await self._read_back()
        self._forget(now)

    async def _read_new(self) -> None:
        head = await self._pulse.head()
        while self._upto < head:
            end = min(head, self._upto + self._stretch)
            self._take(await self._pulse.stretch(self._upto, end, self.frame.width))
            self._upto = end

    async def _read_back(self) -> None:
        until = self._clock() + PATIENCE
        while self._low > self._floor and self._clock() < until:
            start = max(self._floor, self._low - self._stretch)
            self._take(await self._pulse.stretch(start, self._low, self.frame.width))
            self._low = start

    def _take(self, stretch: Stretch) -> None:
        for turns in stretch.turns:
            kind = turns.outcome, turns.code, turns.role, turns.model
            self._slot(turns.slot).turns.setdefault(kind, Sum()).add(turns)
        for used in stretch.users:
            kind = used.subject, used.role, used.decision, used.policy
            self._slot(used.slot).users.setdefault(kind, Sum()).add(used, used.least)
        for timed in stretch.times:
            self._slot(timed.slot).times.add(timed.bucket, timed.number)
        for timed in stretch.firsts:
            self._slot(timed.slot).firsts.add(timed.bucket, timed.number)
        for each in stretch.slices:
            self.slices.add(each)

    def _slot(self, number: int) -> Slot:
        return self.slots.setdefault(number, Slot())

    def _forget(self, now: int) -> None:
        """Let go of what is too old to be shown."""
        first = self.frame.first(now)
        for number in [number for number in self.slots if number < first]:
            del self.slots[number]
        self.slices.forget((now - self.frame.reach) // SLICE)
