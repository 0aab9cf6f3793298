"""Requests in any window, by an exact log of admissions.

Refuses a clock, a store, and any rounding that favours the caller.

An admission at `a` counts at every moment of [a, a + window). One more is admitted at `now` exactly when
fewer than the limit count then. So no half-open span [t, t + window), wherever it starts, holds more: the
last admission in it saw all others. A burst of the whole limit from idle is admitted. Only admissions are in
the log, so refusals cost nothing.
"""

from array import array
from bisect import bisect_right, insort
from collections.abc import Sequence
from typing import Self

from msgspec import Struct, field

from service.limits.demand import MILLISECOND, MOST_COUNTED, Part, Rule, Standing
from service.limits.state import Live, Moment


def _nothing() -> "array[int]":
    # eight bytes for each admission instead of a Python integer's forty
    return array("q")


class Log(Struct, gc=False):
    """The ascending times of a key's admissions; some may count no longer, none that counts is missing."""

    rule: Rule
    until: int = 0
    times: "array[int]" = field(default_factory=_nothing)

    def wait(self, part: Part, moment: Moment) -> int | None:
        """Time until fewer than the limit count."""
        limit, now, times = part.rule.limit, moment.now, self.times
        window = part.rule.window_ms * MILLISECOND
        if times and times[0] <= now - window:
            self.trim(now - window)
        return 0 if len(times) < limit else times[-limit] + window - now

    def take(self, part: Part, moment: Moment) -> None:
        """Log it; one that is older than others takes its place among them."""
        times, now = self.times, moment.now
        if part.rule.limit != self.rule.limit:
            self.rule = part.rule
        if times and now < times[-1]:
            insort(times, now)
        else:
            times.append(now)
        if len(times) > MOST_COUNTED:
            # no limit reaches further back
            del times[0]

    def stand(self, rule: Rule, now: int, wait: int | None) -> Standing:
        """Count those that are left; after a limit was lowered the oldest ones expire without any effect."""
        limit, times, rises = rule.limit, self.times, 0
        used = len(times)
        if used:
            rises = times[-used if used < limit else -limit] + rule.window_ms * MILLISECOND - now
        return Standing(
            rule=rule,
            remaining=limit - used if used < limit else 0,
            reset_ms=-(-rises // MILLISECOND),
            wait_ms=wait and -(-wait // MILLISECOND),
        )

    def is_idle(self, now: int) -> bool:
        """Whether no admission counts."""
        return not self.times or self.times[-1] <= now - self.rule.window_ms * MILLISECOND

    def live(self, tag: str, subject: str, now: int) -> Live:
        """Say how old the admissions are that count."""
        self.trim(now - self.rule.window_ms * MILLISECOND)
        return Live(tag=tag, subject=subject, rule=self.rule, ages=tuple(now - time for time in self.times))

    @classmethod
    def least(cls, states: Sequence[Self], rule: Rule, now: int) -> Self:
        """Of the newest admissions the earlier, of the second newest too, and so on.

        Whatever the moment, as many of them count as of the log in which the fewest do.
        """
        for state in states:
            state.trim(now - rule.window_ms * MILLISECOND)
        used = min(len(state.times) for state in states)
        newest = [state.times[len(state.times) - used :] for state in states]
        return cls(rule, times=array("q", map(min, zip(*newest, strict=True))))

    def cover(self, other: Self) -> None:
        """Of the newest admissions the later, and so on: at no moment fewer count than in either."""
        mine, theirs = self.times, other.times
        both = min(len(mine), len(theirs))
        longer = mine if len(mine) > len(theirs) else theirs
        later = map(max, mine[len(mine) - both :], theirs[len(theirs) - both :])
        self.rule = other.rule
        self.times = longer[: len(longer) - both] + array("q", later)

    def trim(self, expired: int) -> None:
        """Let go of those of a moment or before it."""
        del self.times[: bisect_right(self.times, expired)]
