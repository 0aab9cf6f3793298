"""Tokens in any window, by strict GCRA, exactly: in whole nanoseconds and whole tokens.

Refuses a clock, a store, and any rounding.

With a limit of N in a window W, b = N // 5 (at least 1) may come at once, and N - b + 1 a window for ever. A
token is worth T = W / (N - b + 1). What a key was admitted is paid for up to a moment: a time and a number of
tokens that are paid for one by one from then on. A cost is admitted when the key, with it, is at most b
tokens ahead of the clock. So the tokens of [t, t + W) are worth at most W - 1 + b T: fewer than N + 1.

What was asked for and not spent is given back exactly: afterwards all is as if the demand had been for what
was spent, at the time when it was decided. To take it off the sum would give back too much: with less asked
for, later demands might have met an idle key, and been paid for from their own time on. Therefore the sum is
kept as what it is made of. A demand at t for c makes max(x, t) + c of what there was before, x; any run of
demands that will not change any more makes max(x + s, m) of it, for some s and m.
"""

from array import array
from collections.abc import Sequence
from functools import lru_cache
from typing import Self

from msgspec import Struct, field

from service.limits.demand import BURST, MILLISECOND, Part, Rule, Standing
from service.limits.state import Live, Moment

NUMBERS = 5
"""Of an open demand: its time, its tokens, and of the run of settled ones that follows s and m (two)."""
MOST_OPEN = 64
"""Open demands of one key; a further one makes the oldest count as spent."""
NEVER = -(1 << 62)
"""The time in m of a run that is empty."""
MOST = 1 << 40
"""Tokens of one demand. What is beyond is not told apart."""

Paid = tuple[int, int]
"""Up to when all is paid for: a time (nanoseconds), and tokens that are paid for from then on."""


class Scale(Struct, frozen=True):
    """What a limit in a window comes to.

    `burst` and `steady` are the tokens that are admitted at once and then in each `window` (nanoseconds). A
    time is reckoned in parts of a nanosecond, `steady` of them: so that a token is worth `window`.
    """

    burst: int
    steady: int
    window: int

    def time(self, paid: Paid) -> int:
        """The moment up to which all is paid for, in parts."""
        return paid[0] * self.steady + paid[1] * self.window

    def later(self, one: Paid, other: Paid) -> Paid:
        """Of two the later."""
        return one if self.time(one) >= self.time(other) else other


@lru_cache(maxsize=1_024)
def scale_of(limit: int, window_ms: int) -> Scale:
    """Work it out once: there are as many as there are settings."""
    burst = limit // BURST or 1
    return Scale(burst, limit - burst + 1, window_ms * MILLISECOND)


def _nothing() -> "array[int]":
    return array("q")


class Flow(Struct, gc=False):
    """How far a key is paid for: `since`, `owed`; the open demands that make it, and what was before them."""

    rule: Rule
    until: int = 0
    since: int = 0
    owed: int = 0
    before: Paid = (0, 0)
    open: "array[int]" = field(default_factory=_nothing)

    def wait(self, part: Part, moment: Moment) -> int | None:
        """Time until the cost fits into the burst; never, where it is larger than that."""
        scale, cost = scale_of(part.rule.limit, part.rule.window_ms), part.cost
        if cost > scale.burst:
            return None
        over = (cost - scale.burst) * scale.window
        ahead = (self.since - moment.now) * scale.steady + self.owed * scale.window
        if ahead > 0:
            over += ahead
        return -(-over // scale.steady) if over > 0 else 0

    def take(self, part: Part, moment: Moment) -> None:
        """Charge the cost, which stays open."""
        scale, now = scale_of(part.rule.limit, part.rule.window_ms), moment.now
        idle = (self.since - now) * scale.steady + self.owed * scale.window <= 0
        if idle:
            self.since, self.owed, self.before = now, 0, (now, 0)
            del self.open[:]
        elif self.open and (self.open[0] <= now - scale.window or len(self.open) >= MOST_OPEN * NUMBERS):
            self._close(0, self.open[1], scale)
        self.open.extend((now, part.cost, 0, NEVER, 0))
        self.owed += part.cost
        if part.rule.limit != self.rule.limit:
            self.rule = part.rule

    def settle(self, part: Part, at: int, spent: int, now: int) -> None:
        """Charge what the demand decided at `at` spent, in place of what it asked for.

        One that is not open any more, for it was settled or a window has passed since, gets nothing back;
        what it spent beyond its cost is charged now.
        """
        scale, spent = scale_of(part.rule.limit, part.rule.window_ms), min(spent, MOST)
        place, excess = self._place(at, part.cost), spent - part.cost
        if place is not None:
            self._close(place, spent, scale)
        elif excess > 0:
            self._run(len(self.open), excess, (now, excess), scale)
        self.since, self.owed = self._sum(scale)

    def stand(self, rule: Rule, now: int, wait: int | None) -> Standing:
        """Count what may be asked for at once: no more than the burst."""
        scale = scale_of(rule.limit, rule.window_ms)
        remaining, rises, window = scale.burst, 0, scale.window
        ahead = (self.since - now) * scale.steady + self.owed * window
        if ahead > 0:
            remaining = max(0, scale.burst - -(-ahead // window))
            rises = ahead - (scale.burst - remaining - 1) * window
        return Standing(
            rule=rule,
            remaining=remaining,
            reset_ms=-(-rises // (scale.steady * MILLISECOND)),
            wait_ms=wait and -(-wait // MILLISECOND),
        )

    def is_idle(self, now: int) -> bool:
        """Whether all is paid for; then nothing that is given back changes anything."""
        return self._ahead(now) <= 0

    def live(self, tag: str, subject: str, now: int) -> Live:
        """Say how much is not paid for."""
        return Live(tag=tag, subject=subject, rule=self.rule, ahead=max(0, self._ahead(now)))

    @classmethod
    def least(cls, states: Sequence[Self], rule: Rule, now: int) -> Self:
        """Of all the one that is paid for soonest; nothing is open, for nobody knows whose it would be."""
        scale, paid = scale_of(rule.limit, rule.window_ms), [(each.since, each.owed) for each in states]
        since, owed = max((now, 0), min(paid, key=scale.time), key=scale.time)
        return cls(rule, since=since, owed=owed, before=(since, owed))

    def cover(self, other: Self) -> None:
        """Be paid for no sooner than the other."""
        scale = scale_of(other.rule.limit, other.rule.window_ms)
        self.before = scale.later((self.since, self.owed), (other.since, other.owed))
        self.rule, (self.since, self.owed) = other.rule, self.before

    def _ahead(self, now: int) -> int:
        scale = scale_of(self.rule.limit, self.rule.window_ms)
        return -(-scale.time((self.since - now, self.owed)) // scale.steady)

    def _place(self, at: int, cost: int) -> int | None:
        for place in range(0, len(self.open), NUMBERS):
            if self.open[place] == at and self.open[place + 1] == cost:
                return place
        return None

    def _close(self, place: int, spent: int, scale: Scale) -> None:
        """Let the open demand at a place become a part of the run before it, and the run after it too."""
        at, _, total, since, owed = self.open[place : place + NUMBERS]
        del self.open[place : place + NUMBERS]
        self._run(place, spent, (at, spent), scale)
        self._run(place, total, (since, owed), scale)

    def _run(self, end: int, total: int, last: Paid, scale: Scale) -> None:
        """Lengthen the run that ends where the open demand at `end` begins."""
        if not end:
            self.before = scale.later((self.before[0], self.before[1] + total), last)
            return
        total_before, since, owed = self.open[end - 3 : end]
        since, owed = scale.later((since, owed + total), last)
        self.open[end - 3 : end] = array("q", (total_before + total, since, owed))

    def _sum(self, scale: Scale) -> Paid:
        paid, numbers = self.before, self.open
        for place in range(0, len(numbers), NUMBERS):
            at, cost, total, since, owed = numbers[place : place + NUMBERS]
            reached, tokens = scale.later(paid, (at, 0))
            paid = scale.later((reached, tokens + cost + total), (since, owed))
        return paid
