"""A limiter that keeps its state in this process, on the monotonic clock, within bounded memory.

Refuses to forget an admission that still counts, however many subjects come, and never awaits: on one event
loop every decision is atomic.

At most `max_keys` subjects with a live admission have a log of their own. While that many are live, further
ones share overflow buckets: stricter for them, never laxer for anyone. Logs stand in the order of their last
admission, so those that may go are always in front, and each call looks at two of them at most.
"""

import secrets
import time
from array import array
from collections import OrderedDict
from collections.abc import Callable, MutableSequence
from hashlib import blake2b

from service.limits.policy import Rate, admit, count_expired, peek
from telemetry.record import Decision, RateLimit

TYPE_CODE = "q"
"""Eight bytes for each admission instead of a Python integer's forty."""


class MemoryLimiter:
    """The limiter for one process; see `service.limits.limiter.Limiter` for what it promises.

    Args:
        window_ms: The window's length, the same for every subject.
        policy: The name its decisions carry.
        clock: Nanoseconds that do not run backwards; should they, time stands still here.
        max_keys: The most subjects with a log of their own.
        buckets: The number of logs that further subjects share.
    """

    def __init__(
        self,
        window_ms: int,
        *,
        policy: str = "role",
        clock: Callable[[], int] = time.monotonic_ns,
        max_keys: int = 100_000,
        buckets: int = 1_024,
    ) -> None:
        self._window_ms, self._policy, self._clock = window_ms, policy, clock
        self._max_keys, self._buckets = max_keys, buckets
        self._now = clock()
        self._held: OrderedDict[bytes, MutableSequence[int]] = OrderedDict()
        self._shared: dict[int, MutableSequence[int]] = {}
        # Secret, so that nobody can choose names that fall into somebody else's bucket.
        self._secret = secrets.token_bytes(16)

    def __len__(self) -> int:
        """Count the logs held, shared ones included; never above `max_keys` + `buckets`."""
        return len(self._held) + len(self._shared)

    def admit(self, subject: str, limit: int) -> RateLimit:
        """Admit one request and count it, or deny it at no cost."""
        rate, now, key = self._rate(limit), self._tick(), self._digest(subject)
        self._forget(now, rate)
        decision = admit(self._log_of(key), now, rate)
        if decision.decision is Decision.ALLOWED:
            self._count(key, now, rate)
        return decision

    def peek(self, subject: str, limit: int) -> RateLimit:
        """Say what stands, counting nothing."""
        rate = self._rate(limit)
        return peek(self._log_of(self._digest(subject)), self._tick(), rate)

    def _rate(self, limit: int) -> Rate:
        return Rate(policy=self._policy, limit=limit, window_ms=self._window_ms)

    def _tick(self) -> int:
        self._now = max(self._now, self._clock())
        return self._now

    def _digest(self, subject: str) -> bytes:
        # A digest bounds the memory of a long name; names may hold lone surrogates, which have no UTF-8.
        return blake2b(subject.encode("utf-8", "surrogatepass"), digest_size=16, key=self._secret).digest()

    def _forget(self, now: int, rate: Rate) -> None:
        # Two for each call, which adds one at most: the idle ones always go faster than new ones come.
        for _ in range(min(2, len(self._held))):
            key, log = next(iter(self._held.items()))
            if log[-1] > now - rate.window_ns:
                return
            del self._held[key]

    def _log_of(self, key: bytes) -> MutableSequence[int]:
        return self._held.get(key) or self._bucket(key)

    def _bucket(self, key: bytes) -> MutableSequence[int]:
        return self._shared.get(self._number(key)) or array(TYPE_CODE)

    def _number(self, key: bytes) -> int:
        return int.from_bytes(key) % self._buckets

    def _count(self, key: bytes, now: int, rate: Rate) -> None:
        log = self._own_log(key, now, rate)
        del log[: count_expired(log, now, rate)]
        log.append(now)

    def _own_log(self, key: bytes, now: int, rate: Rate) -> MutableSequence[int]:
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        shared = self._bucket(key)
        if len(self._held) >= self._max_keys:
            return self._shared.setdefault(self._number(key), shared)
        # Who leaves a bucket takes its admissions along: some may be its own, and those must still count.
        return self._held.setdefault(key, array(TYPE_CODE, shared[count_expired(shared, now, rate) :]))
