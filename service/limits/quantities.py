"""Tokens in any window, by strict GCRA in whole nanoseconds.

Refuses a clock, a store, and any rounding that favours the caller; keeps the same few numbers however many
tokens there are.

With a limit of N in a window W, b = N // 5 (at least 1) may come at once, and N - b + 1 a window for ever. A
token is worth T = W / (N - b + 1). A key has an arrival time `tat`: up to it all that was admitted is paid
for. Tokens worth d, rounded up, are admitted at t when max(tat, t) + d - t <= b T, rounded up; then tat
becomes max(tat, t) + d. So the tokens of [t, t + W) are worth less than W - 1 + b T + 1: fewer than N + 1.

What was asked for and not spent is given back exactly: afterwards tat is what it would be had the demand been
for what was spent, at the time when it was decided. To subtract it from tat would give back too much: with
less asked for, later demands might have met an idle key, and been paid for from their own time on. Therefore
tat is kept as what it is made of: a demand at t worth d makes max(tat, t) + d of tat, any run of demands that
will not change any more makes max(tat + s, m) of it for some s and m.
"""

from array import array
from collections.abc import Sequence
from functools import lru_cache
from typing import Self

from msgspec import Struct, field

from service.limits.demand import BURST, MILLISECOND, Part, Rule, Standing
from service.limits.state import Live, Moment

NUMBERS = 4
"""Of an open demand: its time, its worth, and s and m of the run of settled ones that follows it."""
MOST_OPEN = 64
"""Open demands of one key; a further one makes the oldest count as spent."""
NEVER = -(1 << 61)
"""m of a run that is empty."""
MOST = 1 << 56
"""Nanoseconds that any one demand is worth: two years. What is beyond is not told apart."""
FAR = 1 << 62
"""Of what is summed, so that it fits into its eight bytes."""


def _nothing() -> "array[int]":
    return array("q")


class Flow(Struct, gc=False):
    """A key's arrival time, and the open demands it is made of; `start` is tat before the first of these."""

    rule: Rule
    until: int = 0
    tat: int = 0
    start: int = 0
    open: "array[int]" = field(default_factory=_nothing)

    def wait(self, part: Part, moment: Moment) -> int | None:
        """Time until the cost fits into the burst; never, where it is larger than that."""
        scale = scale_of(part.rule.limit, part.rule.window_ms)
        if part.cost > scale.burst:
            return None
        over = -(-part.cost * scale.window // scale.steady) - scale.reach
        if self.tat > moment.now:
            over += self.tat - moment.now
        return max(over, 0)

    def take(self, part: Part, moment: Moment) -> None:
        """Charge the cost, which stays open."""
        window, now = part.rule.window_ms * MILLISECOND, moment.now
        if self.open:
            self._close_old(now, window)
        charge = worth(part.cost, part.rule)
        if self.tat <= now:
            self.start = self.tat = now
        self.open.extend((now, charge, 0, NEVER))
        self.tat += charge
        self.until = max(self.until, now + window)
        if part.rule.limit != self.rule.limit:
            self.rule = part.rule

    def settle(self, part: Part, at: int, spent: int, now: int) -> None:
        """Charge what the demand decided at `at` spent, in place of what it asked for.

        One that is not open any more, for it was settled or a window has passed since, gets nothing back;
        what it spent beyond its cost is charged now.
        """
        charge, real = worth(part.cost, part.rule), worth(spent, part.rule)
        place = self._place(at, charge)
        if place is not None:
            self._close(place, real)
            self.tat = self._arrival()
        elif real > charge:
            self._run(len(self.open), real - charge, now + real - charge)
            self.tat = max(self.tat, now) + real - charge

    def stand(self, rule: Rule, now: int, wait: int | None) -> Standing:
        """Count what may be asked for at once: no more than the burst."""
        scale = scale_of(rule.limit, rule.window_ms)
        remaining, rises, left = scale.burst, 0, scale.reach
        if self.tat > now:
            left -= self.tat - now
            remaining = min(scale.burst, left * scale.steady // scale.window) if left > 0 else 0
        if remaining < scale.burst:
            rises = -(-(remaining + 1) * scale.window // scale.steady) - left
        return Standing(
            rule=rule,
            remaining=remaining,
            reset_ms=-(-rises // MILLISECOND),
            wait_ms=wait and -(-wait // MILLISECOND),
        )

    def is_idle(self, now: int) -> bool:
        """Whether all is paid for; then nothing that is given back changes anything."""
        return self.tat <= now

    def live(self, tag: str, subject: str, now: int) -> Live:
        """Say how much is not paid for."""
        return Live(tag=tag, subject=subject, rule=self.rule, ahead=max(0, self.tat - now))

    @classmethod
    def least(cls, states: Sequence[Self], rule: Rule, now: int) -> Self:
        """Of all the earliest arrival; nothing is open, for nobody knows whose it would be."""
        tat = max(now, min(state.tat for state in states))
        return cls(rule, tat=tat, start=tat)

    def cover(self, other: Self) -> None:
        """Arrive no earlier than the other."""
        self.rule, self.until = other.rule, max(self.until, other.until, other.tat)
        self.tat = self.start = max(self.tat, other.tat)

    def _close_old(self, now: int, window: int) -> None:
        if self.tat <= now:
            del self.open[:]
        while self.open and (self.open[0] <= now - window or len(self.open) >= MOST_OPEN * NUMBERS):
            self._close(0, self.open[1])

    def _place(self, at: int, charge: int) -> int | None:
        for place in range(0, len(self.open), NUMBERS):
            if self.open[place] == at and self.open[place + 1] == charge:
                return place
        return None

    def _close(self, place: int, charge: int) -> None:
        """Let the open demand at a place become a part of the run before it, and the run after it too."""
        at, _, total, last = self.open[place : place + NUMBERS]
        del self.open[place : place + NUMBERS]
        self._run(place, charge, at + charge)
        self._run(place, total, last)

    def _run(self, end: int, total: int, last: int) -> None:
        """Lengthen the run that ends where the open demand at `end` begins."""
        if not end:
            self.start = max(self.start + total, last)
            return
        self.open[end - 1] = min(FAR, max(self.open[end - 1] + total, last))
        self.open[end - 2] = min(FAR, self.open[end - 2] + total)

    def _arrival(self) -> int:
        tat, numbers = self.start, self.open
        for place in range(0, len(numbers), NUMBERS):
            at, charge, total, last = numbers[place : place + NUMBERS]
            tat = max(max(tat, at) + charge + total, last)
        return tat


class Scale(Struct, frozen=True):
    """What a limit in a window comes to.

    `burst` and `steady` are the tokens that are admitted at once and then in each `window` (nanoseconds);
    `reach` is what the burst is worth.
    """

    burst: int
    steady: int
    window: int
    reach: int


@lru_cache(maxsize=1_024)
def scale_of(limit: int, window_ms: int) -> Scale:
    """Work it out once: there are as many as there are settings."""
    burst, window = limit // BURST or 1, window_ms * MILLISECOND
    steady = limit - burst + 1
    return Scale(burst, steady, window, -(-burst * window // steady))


def worth(tokens: int, rule: Rule) -> int:
    """Nanoseconds that so many tokens of a rule are worth, rounded up."""
    scale = scale_of(rule.limit, rule.window_ms)
    return min(MOST, -(-tokens * scale.window // scale.steady))
