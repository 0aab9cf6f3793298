"""What keys share that came while the memory was full: several tables of a few buckets each.

Refuses to be laxer for anyone: a bucket is no laxer than any of the keys in it would be by itself. It may be
stricter. Of a key's buckets, one in each table, the one that stands best for it decides; all are charged. So
whoever asks much blocks only those who meet such a caller in every table.
"""

from collections.abc import Sequence
from hashlib import blake2b
from secrets import token_bytes

from msgspec import Struct

from service.limits.counts import Log
from service.limits.demand import MILLISECOND, Kind, Part, Rule
from service.limits.leases import Holders
from service.limits.quantities import Flow
from service.limits.state import Moment, State

TABLES = 3
NUMBER, WHOSE = 8, 16
"""Bytes of a digest: for each bucket's number, and for a name."""
COUNT, QUANTITY, LEASE = Kind

Bucket = tuple[str, int, int]
"""Name of the rule, table, number."""


class Place(Struct, frozen=True):
    """Where a key is in the crowd, and the name that its leases have there."""

    buckets: Sequence[Bucket]
    whose: str


class Crowd:
    """The buckets of all rules: at most `buckets` in each table for each name of a rule."""

    def __init__(self, buckets: int) -> None:
        self._number = buckets
        self._states: dict[Bucket, State] = {}
        self._until = 0
        # so that nobody can choose names that fall into somebody else's buckets
        self._secret = token_bytes(16)

    def __len__(self) -> int:
        """Count the buckets that hold something."""
        return len(self._states)

    def place(self, key: str, name: str) -> Place:
        """Say where a packed key is, of a rule of that name."""
        text = key.encode("utf-8", "surrogatepass")
        digest = blake2b(text, digest_size=TABLES * NUMBER + WHOSE, key=self._secret).digest()
        starts = range(0, TABLES * NUMBER, NUMBER)
        numbers = [int.from_bytes(digest[start : start + NUMBER]) % self._number for start in starts]
        buckets = [(name, table, number) for table, number in enumerate(numbers)]
        return Place(buckets, digest[-WHOSE:].hex())

    def view(self, place: Place, rule: Rule, now: int) -> State:
        """Return what a key may have used at most: a state of its own, changed without effect."""
        self._forget(now)
        states = [self._states.get(bucket) for bucket in place.buckets]
        found = [state for state in states if state is not None]
        view = new(rule)
        if len(found) == len(states):
            view = type(found[0]).least(found, rule, now)
        if isinstance(view, Holders):
            view.whose = place.whose
        return view

    def take_away(self, place: Place, rule: Rule, now: int) -> State:
        """Return the state of a key that from now on has its own: what it used comes along."""
        state = self.view(place, rule, now)
        return state.only_own() if isinstance(state, Holders) else state

    def cover(self, place: Place, state: State, now: int) -> None:
        """Charge what was taken in a view to all buckets of the key."""
        self._until = max(self._until, now + state.rule.window_ms * MILLISECOND)
        for bucket in place.buckets:
            self._states.setdefault(bucket, new(state.rule)).cover(state)

    def settle(self, place: Place, part: Part, moment: Moment, excess: int) -> None:
        """Give back a lease; of a quantity nothing, for others were judged by it. Charge an excess."""
        if part.rule.kind is LEASE:
            for bucket in place.buckets:
                state = self._states.get(bucket)
                if isinstance(state, Holders):
                    state.drop(place.whose + moment.lease)
        elif excess > 0:
            view = self.view(place, part.rule, moment.now)
            view.take(Part(rule=part.rule, subject=part.subject, cost=excess), moment)
            self.cover(place, view, moment.now)

    def _forget(self, now: int) -> None:
        """A window after the last came let go of two: a sweep would hold everyone up."""
        for _ in range(2):
            if not self._states or self._until > now:
                return
            bucket, state = self._states.popitem()
            if not state.is_idle(now):
                # charged far ahead
                self._states[bucket] = state
                self._until = now + state.rule.window_ms * MILLISECOND


def new(rule: Rule) -> State:
    """Return the state of a key that has asked for nothing yet."""
    kind = rule.kind
    return Log(rule) if kind is COUNT else Flow(rule) if kind is QUANTITY else Holders(rule)
