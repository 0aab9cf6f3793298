"""How large something was, by user: over sliding windows and over days, with its percentiles.

Refuses to hold an event for longer than a window, and sizes of more than two digits: there are only so many.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Mapping

from msgspec import Struct

DAY = 86_400_000_000
"""Microseconds."""
STEPS = (1, 2, 5)
FINE = 100
"""Sizes below are told exactly, larger ones rounded up to two digits."""


class Spread(Struct, frozen=True, kw_only=True):
    """How large something was, over all users and all windows in which they did it.

    `busiest` is the largest p99 that one user has by themselves, `whose` says which.
    """

    users: int
    p50: int
    p95: int
    p99: int
    max: int
    busiest: int
    whose: str


class Sizes:
    """How often each user had which size."""

    def __init__(self) -> None:
        self._by: dict[str, Counter[int]] = {}
        self._max = 0

    def add(self, user: str, size: int) -> None:
        """Once more."""
        self._max = max(self._max, size)
        self._by.setdefault(user, Counter())[coarse(size)] += 1

    def spread(self) -> Spread | None:
        """All of it; None of nothing."""
        if not self._by:
            return None
        every: Counter[int] = Counter()
        for sizes in self._by.values():
            every.update(sizes)
        busiest, whose = max((percentile(sizes, 99), user) for user, sizes in self._by.items())
        p50, p95, p99 = (min(self._max, percentile(every, percent)) for percent in (50, 95, 99))
        return Spread(
            users=len(self._by),
            p50=p50,
            p95=p95,
            p99=p99,
            max=self._max,
            busiest=min(self._max, busiest),
            whose=whose,
        )


class Track(Struct):
    """What one user did in the last window, and the most since the slot of time began."""

    slot: int
    events: deque[tuple[int, int]]
    total: int = 0
    peak: int = 0


class Sliding:
    """The worst sliding window of each user in each slot of a window's length in which they did something."""

    def __init__(self, window_us: int) -> None:
        self.sizes = Sizes()
        self._window = window_us
        self._tracks: OrderedDict[str, Track] = OrderedDict()

    def add(self, user: str, at: int, amount: int) -> None:
        """A user did so much; times ascend."""
        self._leave(at - self._window)
        track = self._tracks.setdefault(user, Track(at // self._window, deque()))
        self._tracks.move_to_end(user)
        while track.events and track.events[0][0] <= at - self._window:
            track.total -= track.events.popleft()[1]
        if track.slot != at // self._window:
            self.sizes.add(user, track.peak)
            track.slot, track.peak = at // self._window, 0
        track.events.append((at, amount))
        track.total += amount
        track.peak = max(track.peak, track.total)

    def end(self) -> Sizes:
        """Nothing more comes."""
        self._leave(None)
        return self.sizes

    def _leave(self, before: int | None) -> None:
        """Let go of those who did nothing since."""
        while self._tracks:
            user, track = next(iter(self._tracks.items()))
            if before is not None and track.events[-1][0] > before:
                return
            self.sizes.add(user, track.peak)
            del self._tracks[user]


class Daily:
    """What each user spent in each day (UTC)."""

    def __init__(self) -> None:
        self.sizes = Sizes()
        self._day = 0
        self._spent: Counter[str] = Counter()

    def add(self, user: str, at: int, amount: int) -> None:
        """A user spent so much; times ascend."""
        if at // DAY != self._day:
            self.end()
            self._day = at // DAY
        self._spent[user] += amount

    def spent(self, user: str, at: int) -> int:
        """What a user has spent in a day that has not ended."""
        return self._spent[user] if at // DAY == self._day else 0

    def end(self) -> Sizes:
        """The day is over."""
        for user, spent in self._spent.items():
            self.sizes.add(user, spent)
        self._spent.clear()
        return self.sizes


def step(size: int) -> int:
    """The next number of 1, 2, 5, 10, 20 and so on that is not below."""
    power = 1
    while True:
        for each in STEPS:
            if each * power >= size:
                return each * power
        power *= 10


def coarse(size: int) -> int:
    """Round up to two digits, from `FINE` on."""
    power = 10 ** max(0, len(str(size)) - 2) if size >= FINE else 1
    return -(-size // power) * power


def percentile(sizes: Mapping[int, int], percent: int) -> int:
    """The size that so many percent do not exceed; sizes and how often each was there."""
    rank, seen = -(-sum(sizes.values()) * percent // 100), 0
    for size in sorted(sizes):
        seen += sizes[size]
        if seen >= rank:
            return size
    return 0
