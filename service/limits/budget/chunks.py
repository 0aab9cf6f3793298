"""Money that a process has put aside beforehand, to be spent while the ledger is away.

Refuses to lend more than it holds, in another period than its own, or after its time.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from msgspec import Struct, structs

from service.limits.budget.ledger import DAY, Answer, Want
from service.limits.budget.teller import Teller
from telemetry import ids
from telemetry.record import Reserved

SHARE = 100
"""A chunk is at most a hundredth of what is left, over all chunks of a process."""
LIFE_MS = 900_000
"""That turns may begin on it, after it was leased."""
RENEW_SECONDS, IDLE_SECONDS = 60.0, 300.0
"""It is made anew while it is used, as what is left changes; it goes back when it was idle for so long."""
MOST = 1_000
"""Pockets that have one; the one that was idle for longest gives way."""
ALL = 1 << 62

Pocket = tuple[str, ...]


class Chunk(Struct, eq=False):
    """One chunk: what may still be lent of it, what went back in all, and turns that are under way on it."""

    id: str
    pocket: Pocket
    day: int
    until: float
    free: int
    returned: int = 0
    turns: int = 0
    retired: bool = False


class Place(Struct, eq=False):
    """A pocket's chunk, where it has one; when one was last tried for, and the pocket used (monotonic)."""

    tried: float
    used: float
    chunk: Chunk | None = None


class Chunks:
    """The chunks of this process, by pocket. `lease_ms` is how long a turn may last."""

    def __init__(
        self,
        teller: Teller,
        lease_ms: int,
        clock: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._teller, self._lease_ms, self._clock, self._monotonic = teller, lease_ms, clock, monotonic
        self._places: OrderedDict[Pocket, Place] = OrderedDict()
        self._by_id: dict[str, Chunk] = {}
        self._leasing = False

    def use(self, want: Want) -> None:
        """Somebody put money aside: see that their pocket has a chunk that is not too old."""
        now = self._monotonic()
        place = self._places.setdefault(want.pocket, Place(float("-inf"), now))
        place.used = now
        self._places.move_to_end(want.pocket)
        self.tidy()
        # One after another: each is measured by what the others have.
        if not self._leasing and _due(place, want, now):
            place.tried, self._leasing = now, True
            self._retire(place)
            self._lease(want, now)

    def lend(self, want: Want) -> Reserved | None:
        """Put money aside for a turn out of its pocket's chunk; None where that has not enough."""
        place = self._places.get(want.pocket)
        chunk = place.chunk if place else None
        if chunk is None or chunk.day != want.at // DAY or self._monotonic() >= chunk.until:
            return None
        micros = min(want.micros, chunk.free)
        if micros < want.least:
            return None
        chunk.free -= micros
        chunk.turns += 1
        return Reserved(lease=chunk.id, micros=micros)

    def end(self, reserved: Reserved, charged: int) -> bool:
        """A turn is over; whether it was on a chunk. What it did not cost is free again."""
        chunk = self._by_id.get(reserved.lease)
        if chunk is None:
            return False
        chunk.turns -= 1
        chunk.free += reserved.micros - charged
        if chunk.retired:
            self._give_back(chunk)
        return True

    def recall(self, want: Want) -> bool:
        """Give back what is free of every budget that a want is under; whether there was anything."""
        pockets = {*want.pocket}
        found = [each for each in self._places.values() if each.chunk and pockets & {*each.chunk.pocket}]
        free = sum(each.chunk.free for each in found if each.chunk)
        for each in found:
            self._retire(each)
        return free > 0

    def tidy(self) -> None:
        """Let those go that were idle for long, or are too many."""
        now = self._monotonic()
        while self._places:
            pocket, place = next(iter(self._places.items()))
            if len(self._places) <= MOST and now - place.used < IDLE_SECONDS:
                return
            self._retire(place)
            del self._places[pocket]

    def clear(self) -> None:
        """Give everything back."""
        for place in self._places.values():
            self._retire(place)
        self._places.clear()

    def _lease(self, want: Want, now: float) -> None:
        chunk = structs.replace(
            want,
            lease=ids.uuid7(),
            micros=ALL,
            least=max(1, want.micros),
            expires_at=self._clock() + (LIFE_MS + self._lease_ms) * 1_000,
            share=SHARE,
            shared=dict(self._shared(want)),
        )
        self._teller.later(chunk, lambda answer: self._leased(chunk, now, answer))

    def _leased(self, want: Want, since: float, answer: Answer | None) -> None:
        self._leasing = False
        if answer is None or answer.micros is None:
            return
        place = self._places.get(want.pocket)
        if place is None or place.chunk or self._teller.away:
            self._teller.give_back(want.lease, answer.micros)
            return
        until = since + LIFE_MS / 1_000
        place.chunk = Chunk(want.lease, want.pocket, want.at // DAY, until, answer.micros)
        self._by_id[want.lease] = place.chunk

    def _shared(self, want: Want) -> Iterator[tuple[str, int]]:
        """What the chunks there are hold of each budget of a want."""
        chunks = [each.chunk for each in self._places.values() if each.chunk]
        for name, pocket in zip(want.limits, want.pocket, strict=True):
            yield name, sum(each.free for each in chunks if pocket in each.pocket)

    def _retire(self, place: Place) -> None:
        if place.chunk:
            place.chunk.retired = True
            self._give_back(place.chunk)
            place.chunk = None

    def _give_back(self, chunk: Chunk) -> None:
        chunk.returned, chunk.free = chunk.returned + chunk.free, 0
        self._teller.give_back(chunk.id, chunk.returned)
        if not chunk.turns:
            self._by_id.pop(chunk.id, None)


def _due(place: Place, want: Want, now: float) -> bool:
    """Whether it is time for another chunk."""
    return now - place.tried >= RENEW_SECONDS or bool(place.chunk and place.chunk.day != want.at // DAY)
