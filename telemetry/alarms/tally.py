"""Counts errors by category and fault, and turns that were served, in slices of time.

Refuses to grow: a slice too old to count is let go, and there are as many kinds as codes have.
"""

from collections import deque
from collections.abc import Callable, Iterable

from msgspec import Struct

from telemetry.alarms.durations import Durations
from telemetry.record import Outcome, TurnRecord
from telemetry.spike import FACTOR, OURS, Spike

SERVED = "served"


class Counted(Struct, frozen=True, kw_only=True):
    """What one process has counted since it began, at a moment; both are seconds since 1970.

    Of each kind the slices in which there was any, with their number.
    """

    since: float
    at: float
    kinds: dict[str, list[tuple[int, int]]]


class Weighed(Struct, frozen=True):
    """A category's errors within the window, what was usual in that time, and whether it is a spike."""

    count: int
    baseline: float
    over: bool


class Tally:
    """The counts of this process. `clock` gives seconds since 1970: other processes count by it too."""

    def __init__(self, durations: Durations, clock: Callable[[], float]) -> None:
        self._durations, self._clock = durations, clock
        self._since = clock()
        self._kinds: dict[str, deque[tuple[int, int]]] = {}

    def add(self, record: TurnRecord) -> None:
        """Count a turn, as `parley.errors` and `parley.turns` do."""
        failure = record.failure
        if failure:
            self._count(f"{failure.category}/{failure.fault}")
        if record.outcome is Outcome.ANSWERED or (failure and failure.fault in OURS):
            self._count(SERVED)

    def counted(self) -> Counted:
        """What there is."""
        return Counted(
            since=self._since,
            at=self._clock(),
            kinds={kind: list(slices) for kind, slices in self._kinds.items()},
        )

    def _count(self, kind: str) -> None:
        slices = self._kinds.setdefault(kind, deque())
        now = int(self._clock() / self._durations.slice)
        if slices and slices[-1][0] >= now:  # a clock that was set back adds to what it said before
            slices[-1] = (slices[-1][0], slices[-1][1] + 1)
        else:
            slices.append((now, 1))
        oldest = now - self._durations.horizon / self._durations.slice
        while slices[0][0] < oldest:
            slices.popleft()


Between = Callable[[Iterable[str], tuple[float, float]], int]
"""How many of some kinds there were after the first moment, up to and with the second."""


def weigh(spike: Spike, counted: Iterable[Counted], now: float, durations: Durations) -> Weighed:
    """Hold a category's errors of all these processes against its own hour before.

    Where they have not counted for so long, against what there is, and against nothing at the very start.
    """
    all_of = tuple(counted)

    def between(kinds: Iterable[str], times: tuple[float, float]) -> int:
        return _between(all_of, kinds, times, durations)

    return weighed(spike, between, min((each.since for each in all_of), default=now), now, durations)


def weighed(spike: Spike, between: Between, since: float, now: float, durations: Durations) -> Weighed:
    """The same of whatever has counted `since` a moment."""
    kinds = tuple(f"{spike.category}/{fault}" for fault in spike.faults)
    ended = now - durations.lag
    usual = between(kinds, (ended - durations.before, ended))
    baseline = usual * durations.window / min(max(ended - since, durations.window), durations.before)
    recent = (now - durations.window, now)
    count = between(kinds, recent)
    served = between((SERVED,), recent) if spike.share else 0
    over = count >= spike.floor and count > FACTOR * baseline and count > spike.share * served
    return Weighed(count, baseline, over)


def _between(
    counted: Iterable[Counted], kinds: Iterable[str], times: tuple[float, float], durations: Durations
) -> int:
    """How many there were after the first moment, up to and with the second."""
    after, last = (int(time / durations.slice) for time in times)
    slices = (slices for each in counted for kind in kinds for slices in (each.kinds.get(kind, ()),))
    return sum(number for each in slices for at, number in each if after < at <= last)
