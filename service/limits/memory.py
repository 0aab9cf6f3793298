"""A store in this process, on the monotonic clock, within bounded memory.

Refuses to forget what still counts, however many keys come, and never suspends: on one event loop every
decision is atomic.

At most `max_keys` keys have a state of their own, whatever the others do. While that many are live, further
ones share what `service.limits.crowd` has: stricter for them, never laxer for anyone. States stand in a
queue for each window. A window after it was put at the end a state is looked at: an idle one goes, one that
was charged since is put at the end again, so that no decision but the first has to move its keys.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

from service.limits.crowd import Crowd, Place, new
from service.limits.demand import MILLISECOND, Demand, Kind, Part, Rule, Verdict
from service.limits.leases import Holders
from service.limits.quantities import Flow
from service.limits.state import LONGEST, Live, Moment, State, key_of, packed, short, unpacked

Queue = OrderedDict[str, State]
"""By packed keys."""
Pair = tuple[State, Part]
Stranger = tuple[State, Rule, str, Place | None]
"""A state that is not kept yet, its rule and key, and its place in the crowd where it is shared."""
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
        now, parts = self._tick(), demand.parts
        if now >= self._due:
            self._forget(now, 2 * len(parts))
        moment, (pairs, strangers) = Moment(now, demand.lease), self._states(demand.tag, parts, now)
        waits = [state.wait(part, moment) for state, part in pairs]
        if waits.count(0) == len(waits):
            for state, part in pairs:
                state.take(part, moment)
            for stranger in strangers:
                self._welcome(*stranger, now)
        return self._verdict(pairs, waits, now)

    async def peek(self, demand: Demand) -> Verdict:
        """Say what `decide` would at this moment; counts nothing."""
        moment = Moment(self._tick(), demand.lease)
        pairs, _ = self._states(demand.tag, demand.parts, moment.now)
        return self._verdict(pairs, [state.wait(part, moment) for state, part in pairs], moment.now)

    async def settle(self, demand: Demand, verdict: Verdict, spent: int) -> None:
        """Give back the leases, and of the quantities all but `spent`, exactly.

        Of a quantity that was admitted in the crowd, or more than a window ago, nothing is given back.
        """
        if verdict.denied:
            return
        moment = Moment(self._tick(), demand.lease)
        for part in demand.parts:
            if part.rule.kind is not Kind.COUNT:
                self._settle(packed(key_of(demand.tag, part)), part, moment, verdict.at, spent)

    async def reset(self, demand: Demand) -> None:
        """Forget everything that is counted for the demand's subjects."""
        now = self._tick()
        for part in demand.parts:
            key, rule = packed(key_of(demand.tag, part)), part.rule
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
        if now >= self._due:
            self._forget(now, 2 * len(demand.parts))
        when = now if at is None else min(at, now)
        parts = [part for part in demand.parts if when > now - part.rule.window_ms * MILLISECOND]
        pairs, strangers = self._states(demand.tag, parts, now)
        for state, part in pairs:
            state.take(part, Moment(when, demand.lease))
        for stranger in strangers:
            self._welcome(*stranger, now)
        pairs, _ = self._states(demand.tag, demand.parts, now)
        for state, part in pairs:
            # lets go of what has expired, as standings want it
            state.wait(part, Moment(now, demand.lease))
        return Verdict(
            standings=self._verdict(pairs, [0] * len(pairs), now).standings, at=when, store=self.name
        )

    def recent(self) -> Iterator[Live]:
        """Say what still counts, key by key; of the crowd, nothing is known by key.

        Deciding may go on meanwhile: each key is told as it is when its turn comes.
        """
        for queue in list(self._queues.values()):
            for key in list(queue):
                state, now = queue.get(key), self._tick()
                if state and not state.is_idle(now):
                    tag, _, subject = unpacked(key)
                    yield state.live(tag, subject, now)

    def _tick(self) -> int:
        now = self._clock()
        self._now = max(self._now, now)
        return self._now

    def _states(self, tag: str, parts: Sequence[Part], now: int) -> tuple[list[Pair], list[Stranger]]:
        """Find the states of all parts, and which of these are not kept yet."""
        tag, queues = short(tag), self._queues
        head = f"{chr(len(tag))}{tag}"
        pairs: list[Pair] = []
        strangers: list[Stranger] = []
        for part in parts:
            rule, subject = part.rule, part.subject
            # packed, without calls for each part
            if len(subject) > LONGEST:
                subject = short(subject)
            key = f"{head}{chr(len(subject))}{subject}{rule.name}"
            queue = queues.get(rule.window_ms)
            state = queue.get(key) if queue else None
            if state is None:
                state, place = self._stranger(key, rule, now)
                strangers.append((state, rule, key, place))
            pairs.append((state, part))
        return pairs, strangers

    def _stranger(self, key: str, rule: Rule, now: int) -> tuple[State, Place | None]:
        """Find a state for a key that has none in the queue of its window."""
        known, crowd = self._known(rule), self._crowd
        state = self._moved(key, known, now)
        full = sum(map(len, self._queues.values())) >= self._max_keys
        if state or not (full or crowd):
            return state or new(known), None
        place = crowd.place(key, rule.name)
        return (crowd.view(place, known, now), place) if full else (crowd.take_away(place, known, now), None)

    def _moved(self, key: str, rule: Rule, now: int) -> State | None:
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

    def _welcome(self, state: State, rule: Rule, key: str, place: Place | None, now: int) -> None:
        """Keep a state that was charged: in the crowd, or at the end of its queue."""
        if place:
            self._crowd.cover(place, state, now)
        else:
            self._keep(key, state, rule, now)

    def _keep(self, key: str, state: State, rule: Rule, now: int) -> None:
        state.until = now + rule.window_ms * MILLISECOND
        queue = self._queues.get(rule.window_ms)
        if queue is None:
            queue = self._queues.setdefault(rule.window_ms, OrderedDict())
        queue[key] = state
        queue.move_to_end(key)
        self._due = min(self._due, state.until)

    def _verdict(self, pairs: list[Pair], waits: list[int | None], now: int) -> Verdict:
        ways = iter(waits)
        standings = [state.stand(part.rule, now, next(ways)) for state, part in pairs]
        return Verdict(standings=tuple(standings), at=now, store=self.name)

    def _settle(self, key: str, part: Part, moment: Moment, at: int, spent: int) -> None:
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
            self._crowd.settle(self._crowd.place(key, part.rule.name), part, moment, excess)

    def _forget(self, now: int, most: int) -> None:
        """Let some go that are idle; and find out when there will be others."""
        # twice as many as a demand can charge: what there is to be looked at never grows
        self._due = FOREVER
        for window, queue in self._queues.items():
            for _ in range(most):
                if not queue or next(iter(queue.values())).until > now:
                    break
                key, state = queue.popitem(last=False)
                if not state.is_idle(now):
                    state.until, queue[key] = now + window * MILLISECOND, state
            if queue:
                self._due = min(self._due, next(iter(queue.values())).until)
