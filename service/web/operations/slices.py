"""Errors of the log in slices of ten seconds, and which are spikes: by the alarm's own rule and patience.

Refuses a rule of its own: what is over, and for how long it must be, telemetry/alarms says.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate

from msgspec import Struct

from service.store.pulse import Sliced
from telemetry.alarms.durations import Durations
from telemetry.alarms.tally import SERVED, Weighed, weighed
from telemetry.alarms.watch import Standing, Watch
from telemetry.failure import RULES, Code
from telemetry.spike import OURS, SPIKES, Spike

DURATIONS = Durations()
MOMENT = 0.001
"""Seconds before a slice ends."""


class Peak(Struct, frozen=True, kw_only=True):
    """A spike that was told, in seconds since 1970; `ended` None while it goes on. `count` was the most."""

    spike: Spike
    started: float
    ended: float | None
    count: int
    baseline: float


class Slices:
    """How many turns of each category and fault each slice had, counted as the alarm's tally does."""

    def __init__(self) -> None:
        self._kinds: dict[str, dict[int, int]] = {}

    def add(self, each: Sliced) -> None:
        """Count what was read; a code that nobody knows any more is in no category."""
        served = each.answered
        if each.code is not None:
            with suppress(ValueError):
                rule = RULES[Code(each.code)]
                self._count(f"{rule.category}/{rule.fault}", each)
                served = served or rule.fault in OURS
        if served:
            self._count(SERVED, each)

    def forget(self, first: int) -> None:
        """Let go of the slices before one."""
        for slices in self._kinds.values():
            for at in [at for at in slices if at < first]:
                del slices[at]

    @property
    def first(self) -> int | None:
        """The first slice in which there was anything."""
        return min((at for slices in self._kinds.values() for at in slices), default=None)

    def _count(self, kind: str, each: Sliced) -> None:
        slices = self._kinds.setdefault(kind, {})
        slices[each.slice] = slices.get(each.slice, 0) + each.turns

    def peaks(self, span: tuple[float, float], since: float) -> Sequence[Peak]:
        """The spikes that stood within a span, in the order of their beginning.

        `since` is from when on everything was counted; all are seconds since 1970.
        """
        begin, now = span
        sums = Sums(self._kinds, int((begin - DURATIONS.horizon) // DURATIONS.slice), now)
        found = [peak for spike in SPIKES for peak in Run(spike, sums, since).peaks(begin, now)]
        return sorted(found, key=lambda peak: peak.started)


class Sums:
    """How many there were up to each slice, so that a span is a difference."""

    def __init__(self, kinds: dict[str, dict[int, int]], first: int, now: float) -> None:
        self.first, self.last = first, int(now // DURATIONS.slice)
        slots = range(self.first, self.last + 1)
        self._kinds = {
            kind: [0, *accumulate(slices.get(at, 0) for at in slots)] for kind, slices in kinds.items()
        }

    def between(self, kinds: Iterable[str], times: tuple[float, float]) -> int:
        """How many there were after the first moment, up to and with the second, by whole slices."""
        after, last = (self._place(time) for time in times)
        return sum(sums[last] - sums[after] for kind in kinds if (sums := self._kinds.get(kind)))

    def _place(self, time: float) -> int:
        at = int(time / DURATIONS.slice) - self.first + 1
        return min(max(at, 0), self.last - self.first + 1)

    def risen(self, spike: Spike) -> Iterator[int]:
        """The slices up to which there were at least as many within the window as the spike's floor."""
        window = round(DURATIONS.window / DURATIONS.slice)
        series = [sums for fault in spike.faults if (sums := self._kinds.get(f"{spike.category}/{fault}"))]
        if not series:
            return
        whole = [sum(at) for at in zip(*series, strict=True)]
        for at in range(1, len(whole)):
            if whole[at] - whole[max(0, at - window)] >= spike.floor:
                yield self.first + at - 1


class Run:
    """The alarm's watch over one category's past, slice by slice, wherever it might say something."""

    def __init__(self, spike: Spike, sums: Sums, since: float) -> None:
        self._spike, self._sums, self._since = spike, sums, since
        self._watch, self._most = Watch(DURATIONS), Weighed(0, 0, over=False)

    def peaks(self, begin: float, now: float) -> Iterator[Peak]:
        """Those that had not ended before `begin`."""
        risen = set(self._sums.risen(self._spike))
        for at in range(self._sums.first, self._sums.last + 1) if risen else ():
            if at in risen or self._standings:
                # a slice is counted as it ends, the last one as it is
                ended = self._visit(min((at + 1) * DURATIONS.slice - MOMENT, now))
                yield from (peak for peak in ended if peak.ended is not None and peak.ended >= begin)
        for standing in self._standings.values():
            if standing.started is not None:
                yield self._peak(standing.started, None)

    def _visit(self, now: float) -> Sequence[Peak]:
        """What ended at this moment."""
        found = weighed(self._spike, self._sums.between, self._since, now, DURATIONS)
        if not self._standings or found.count > self._most.count:
            self._most = found
        notices = list(self._watch.heed(self._spike, found, now))
        return [self._peak(each.started, each.ended) for each in notices]

    @property
    def _standings(self) -> Mapping[str, Standing]:
        return self._watch.memory.standings

    def _peak(self, started: float, ended: float | None) -> Peak:
        most = self._most
        return Peak(spike=self._spike, started=started, ended=ended, count=most.count, baseline=most.baseline)
