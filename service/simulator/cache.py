"""The prompt cache of the API: what a request reads of it, and what it leaves there.

Refuses what is too short for its model, and to grow without end: whatever was read longest ago goes first.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from types import MappingProxyType

from msgspec import Struct

from service.simulator.messages import Count
from service.simulator.prefix import Place, places
from service.simulator.usage import Tokens

Clock = Callable[[], float]
"""Seconds, of any beginning."""

KEPT = 10_000
"""Prefixes that are kept, of all accounts."""
LOOK_BACK = 20
"""Blocks that are looked at from a breakpoint on, itself included."""
SECONDS: Mapping[str, float] = MappingProxyType({"5m": 300.0, "1h": 3_600.0})

_LEAST: Mapping[str, int] = MappingProxyType(
    {
        **dict.fromkeys(("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"), 512),
        **dict.fromkeys(("claude-fable-5-2", "claude-fable-5-1", "claude-opus-5"), 512),
        "claude-haiku-4-5": 4_096,
    }
)
_SNAPSHOT = re.compile(r"-\d{8}$", re.ASCII)


class _Kept(Struct):
    """One prefix; `until` is when it goes, unless it is read before."""

    until: float
    seconds: float


class Cache:
    """All prefixes that are kept."""

    def __init__(self, clock: Clock = monotonic, most: int = KEPT) -> None:
        self._clock, self._most = clock, most
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, request: Count, account: str) -> Tokens:
        """What a request's input comes to: read, written, and neither; what it writes is there from now on.

        Raises:
            ApiError: 400, over its breakpoints.
        """
        ends = places(request, account)
        marked = [at for at, end in enumerate(ends) if end.ttl and end.tokens >= least(request.model)]
        read_to = self._read(ends, marked)
        fresh = [at for at in marked if at > read_to]
        for at in fresh:
            self._write(ends[at])
        return _told(ends, read_to, fresh)

    def _read(self, ends: Sequence[Place], marked: Sequence[int]) -> int:
        """The last block that is read, and those before it; -1 where none is."""
        for mark in reversed(marked):
            for at in range(mark, max(-1, mark - LOOK_BACK), -1):
                if self._hit(ends[at].digest):
                    return at
        return -1

    def _hit(self, digest: bytes) -> bool:
        """Whether a prefix is there; reading it keeps it for as long again."""
        kept, now = self._kept.get(digest), self._clock()
        if kept is None:
            return False
        if kept.until <= now:
            del self._kept[digest]
            return False
        kept.until = now + kept.seconds
        self._kept.move_to_end(digest)
        return True

    def _write(self, end: Place) -> None:
        seconds = SECONDS[end.ttl or "5m"]
        self._kept[end.digest] = _Kept(until=self._clock() + seconds, seconds=seconds)
        self._kept.move_to_end(end.digest)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)


def least(model: str) -> int:
    """The shortest prefix that is kept of a model's prompts, in tokens."""
    return _LEAST.get(model) or _LEAST.get(_SNAPSHOT.sub("", model)) or 1_024


def _told(ends: Sequence[Place], read_to: int, fresh: Sequence[int]) -> Tokens:
    read = ends[read_to].tokens if read_to >= 0 else 0
    kept = ends[fresh[-1]].tokens if fresh else read
    hours = [ends[at].tokens for at in fresh if ends[at].ttl == "1h"]
    return Tokens(
        uncached=(ends[-1].tokens if ends else 0) - kept,
        written=kept - read,
        written_1h=hours[-1] - read if hours else 0,
        read=read,
        output=0,
    )
