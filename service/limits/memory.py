"""A store in this process, on the monotonic clock, within bounded memory.

Refuses to forget what still counts, however many keys come, and never suspends: on one event loop every
decision is atomic.

At most `max_keys` keys have a state of their own, whatever the others do. While that many are live, further
ones share what `service.limits.crowd` has: stricter for them, never laxer for anyone. States stand in a
queue for each window, in the order in which they were last charged; those that may go are in front.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from service.limits.crowd import Crowd, Place, new
from service.limits.demand import MILLISECOND, Demand, Kind, Part, Rule, Verdict
from service.limits.leases import Holders
from service.limits.old_memory import MemoryLimiter
from service.limits.quantities import Flow
from service.limits.state import LONGEST, Key, Live, Moment, State, key_of, short

__all__ = ["MemoryLimiter", "MemoryStore"]

Queue = OrderedDict[Key, State]
Seat = tuple[State, Part, Moment, Key, Queue | None, Place | None]
"""A part and its state, how it is asked, its key; the queue it stands in; its place where it is shared."""
FOREVER = 1 << 63
"""Nanoseconds."""


class MemoryStore:
    """The store of one process; see `service.limits.store.Store` for what it promises.

    A rule's name stands for one kind. The parts of a demand are of different keys. A key's state follows it
    when the limit or the window of its rule changes.

    Args:
        clock: Nanoseconds that do not run backwards; should they, time stands still here.
        max_keys: The most keys with a state of their own; one demand that comes last may go beyond it.
        buckets: The number of states in each table that further keys share.
    """

    name = "memory"

    def __init__(
        self,
        clock: Callable[[], int] = time.monotonic_ns,
        max_keys: int = 100_000,
        buckets: int = 1_024,
    ) -> None:
        self._clock, self._max_keys = clock, max_keys
        self._now = clock()
        self._queues: dict[int, Queue] = {}
        self._due = FOREVER
        self._crowd = Crowd(buckets)
        self._rules: dict[tuple[str, int, int], Rule] = {}

    def __len__(self) -> int:
        """Count the states that are held, shared ones included."""
        return sum(map(len, self._queues.values())) + len(self._crowd)

    async def decide(self, demand: Demand) -> Verdict:
        """Admit the whole demand and count it, or deny it at no cost."""
        now = self._tick()
        if now >= self._due:
            self._forget(now, 2 * len(demand.parts))
        seats = self._seats(demand, now)
        waits = [state.wait(part, moment) for state, part, moment, _, _, _ in seats]
        if waits.count(0) == len(waits):
            for state, part, moment, key, queue, place in seats:
                state.take(part, moment)
                if queue:
                    queue.move_to_end(key)
                else:
                    self._welcome(state, part.rule, now, key, place)
        return self._verdict(seats, waits, now)

    async def peek(self, demand: Demand) -> Verdict:
        """Say what `decide` would at this moment; counts nothing."""
        now = self._tick()
        seats = self._seats(demand, now)
        return self._verdict(seats, [state.wait(part, moment) for state, part, moment, _, _, _ in seats], now)

    async def settle(self, demand: Demand, verdict: Verdict, spent: int) -> None:
        """Give back the leases, and of the quantities all but `spent`, exactly.

        Of a quantity that was admitted in the crowd, or more than a window ago, nothing is given back.
        """
        if verdict.denied:
            return
        moment = Moment(self._tick(), demand.lease)
        for part in demand.parts:
            if part.rule.kind is not Kind.COUNT:
                self._settle(key_of(demand.tag, part), part, moment, verdict.at, spent)

    async def reset(self, demand: Demand) -> None:
        """Forget everything that is counted for the demand's subjects."""
        now = self._tick()
        for part in demand.parts:
            key, rule = key_of(demand.tag, part), part.rule
            for queue in self._queues.values():
                queue.pop(key, None)
            if self._crowd:
                # others count in its buckets: a state of its own, beyond the bound until a window has passed
                self._keep(key, new(rule), rule, now)

    def record(self, demand: Demand, at: int | None = None) -> Verdict:
        """Count a demand that was admitted elsewhere, or before the start: without deciding.

        Args:
            demand: What was admitted.
            at: When, by this store's clock; times of one key ascend. None is now. What would not count any
                more is not counted.

        Returns:
            How all stands now; it settles the demand.
        """
        now = self._tick()
        when = now if at is None else min(at, now)
        seats = self._seats(demand, now)
        for state, part, moment, key, _, place in seats:
            if when > now - part.rule.window_ms * MILLISECOND:
                state.take(part, Moment(when, moment.lease))
                self._welcome(state, part.rule, now, key, place)
            state.wait(part, moment)
        verdict = self._verdict(seats, [0] * len(seats), now)
        return Verdict(standings=verdict.standings, at=when, store=self.name)

    def recent(self) -> Iterator[Live]:
        """Say what still counts, key by key; of the crowd, nothing is known by key.

        Deciding may go on meanwhile: each key is told as it is when its turn comes.
        """
        for queue in list(self._queues.values()):
            for key in list(queue):
                state, now = queue.get(key), self._tick()
                if state and not state.is_idle(now):
                    yield state.live(key[0], key[2], now)

    def _tick(self) -> int:
        now = self._clock()
        self._now = max(self._now, now)
        return self._now

    def _seats(self, demand: Demand, now: int) -> list[Seat]:
        moment, tag, queues = Moment(now, demand.lease), short(demand.tag), self._queues
        seats: list[Seat] = []
        for part in demand.parts:
            rule, subject = part.rule, part.subject
            # as key_of does, without a call for each part
            key = (tag, rule.name, subject if len(subject) <= LONGEST else short(subject))
            queue = queues.get(rule.window_ms)
            state = queue.get(key) if queue else None
            seats.append((state, part, moment, key, queue, None) if state else self._seat(part, moment, key))
        return seats

    def _seat(self, part: Part, moment: Moment, key: Key) -> Seat:
        """Find a state for a key that has none in the queue of its window."""
        rule, crowd, now = self._known(part.rule), self._crowd, moment.now
        state = self._moved(key, rule, now)
        full = sum(map(len, self._queues.values())) >= self._max_keys
        if state or not (full or crowd):
            return state or new(rule), part, moment, key, None, None
        place = crowd.place(key)
        if full:
            shared = Moment(now, place.whose + moment.lease)
            return crowd.view(place, rule, now), part, shared, key, None, place
        return crowd.take_away(place, rule, now), part, moment, key, None, None

    def _moved(self, key: Key, rule: Rule, now: int) -> State | None:
        """Find the state that a key had with another window, and let it stand with those of the new one."""
        for queue in self._queues.values():
            state = queue.pop(key, None)
            if state:
                state.rule = rule
                self._keep(key, state, rule, now)
                return state
        return None

    def _known(self, rule: Rule) -> Rule:
        # demands come with rules of their own, which are equal: states shall not keep them all
        return self._rules.setdefault((rule.name, rule.limit, rule.window_ms), rule)

    def _welcome(self, state: State, rule: Rule, now: int, key: Key, place: Place | None) -> None:
        """Keep a state that was charged: in the crowd, or at the end of its queue."""
        if place:
            self._crowd.cover(place, state)
        else:
            self._keep(key, state, rule, now)

    def _keep(self, key: Key, state: State, rule: Rule, now: int) -> None:
        """Let a state stand at the end of its queue, for a window at least."""
        state.rule, state.until = self._known(rule), max(state.until, now + rule.window_ms * MILLISECOND)
        queue = self._queues.get(rule.window_ms)
        if queue is None:
            queue = self._queues.setdefault(rule.window_ms, OrderedDict())
        queue[key] = state
        queue.move_to_end(key)
        self._due = min(self._due, state.until)

    def _verdict(self, seats: list[Seat], waits: list[int | None], now: int) -> Verdict:
        standings = [
            state.stand(part.rule, now, wait) for (state, part, *_), wait in zip(seats, waits, strict=True)
        ]
        return Verdict(standings=tuple(standings), at=now, store=self.name)

    def _settle(self, key: Key, part: Part, moment: Moment, at: int, spent: int) -> None:
        queue = self._queues.get(part.rule.window_ms, Queue())
        state = queue.get(key)
        if isinstance(state, Flow):
            state.settle(part, at, spent, moment.now)
        elif isinstance(state, Holders):
            state.drop(moment.lease)
        if state and state.is_idle(moment.now):
            del queue[key]
        if self._crowd:
            excess = 0 if state else spent - part.cost
            self._crowd.settle(self._crowd.place(key), part, moment, excess)

    def _forget(self, now: int, most: int) -> None:
        """Let some go that were last charged a window ago; and find out when there will be others."""
        # twice as many as a demand can add: the idle ones always go faster than new ones come
        self._due = FOREVER
        for window, queue in self._queues.items():
            for _ in range(most):
                if not queue or next(iter(queue.values())).until > now:
                    break
                key, state = queue.popitem(last=False)
                if not state.is_idle(now):
                    # charged far ahead: it is looked at again, and does not stand in front of others
                    state.until, queue[key] = now + window * MILLISECOND, state
            self._due = min(self._due, next(iter(queue.values())).until if queue else FOREVER)
