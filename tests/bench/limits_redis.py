"""What a decision in Redis costs: `python -m tests.bench.limits_redis [ROUNDS]`, a table on stdout.

Beside it in the same run, on the same server: `limits` (moving window) and the store path of Litestar's
middleware. Refuses to compare two moments: every round has a batch of each, with the same callers in the same
order.
"""

import asyncio
import gc
import platform
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import count

from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from litestar.middleware.rate_limit import RateLimitConfig, RateLimitMiddleware
from litestar.stores.redis import RedisStore as LitestarStore

from service.limits.demand import Demand, Part, Rule
from service.limits.loss import SharedStore
from service.limits.redis import RedisStore
from tests.bench.limits import RULES
from tests.harness.redis import Redis

ROUNDS, CALLERS, LIMIT, AT_ONCE = 10, 40, 20, 16
ASKED = LIMIT * 5 // 4
"""Times that each caller asks in a round: four of five are admitted."""
BATCHES = count()
Decide = Callable[[str, int], Awaitable[bool]]
"""Of a caller, and of a number that no other has in the round: whether it was admitted."""


def demands(decide: Callable[[Demand], Awaitable[bool]], rules: Sequence[Rule]) -> Decide:
    """A way to ask our stores."""

    async def ask(caller: str, number: int) -> bool:
        parts = tuple(Part(rule=each, subject=caller) for each in rules)
        return await decide(Demand(tag=caller, parts=parts, lease=str(number)))

    return ask


class Ways:
    """All that are compared, on one server."""

    def __init__(self, server: Redis) -> None:
        self._server = server
        self._ours = RedisStore(server.url(), patience=5)
        self._shared = SharedStore(RedisStore(server.url(), patience=5))
        self._limiter = MovingWindowRateLimiter(
            RedisStorage(f"async+{server.url()}", implementation="redispy")
        )
        self._items = [RateLimitItemPerMinute(LIMIT, namespace=f"policy-{number}") for number in range(4)]
        self._layer = RateLimitMiddleware(app=None, config=RateLimitConfig(rate_limit=("minute", LIMIT)))
        self._theirs = LitestarStore.with_client(server.url())
        self.all: dict[str, Decide] = {
            "parley, 4 parts": demands(self._decide, RULES),
            "parley, 4 parts, loss seen to": demands(self._decide_shared, RULES),
            "parley, 1 count": demands(self._decide, RULES[:1]),
            "limits, 1 moving window": self._hit_one,
            "limits, 4 moving windows": self._hit_all,
            "litestar's middleware": self._pass_layer,
        }

    async def begin(self) -> None:
        await self._shared.start()
        assert not self._shared.degraded, self._shared.detail

    async def end(self) -> None:
        await self._ours.close()
        await self._shared.close()

    def clear(self) -> None:
        """Forget what was counted, not the epoch."""
        names = [name for name in self._server.say("KEYS", "*").split() if "epoch" not in name]
        if names:
            self._server.say("DEL", *names)

    async def _decide(self, demand: Demand) -> bool:
        return (await self._ours.decide(demand)).denied is None

    async def _decide_shared(self, demand: Demand) -> bool:
        return (await self._shared.decide(demand)).denied is None

    async def _hit_one(self, caller: str, number: int) -> bool:
        del number
        return await self._limiter.hit(self._items[0], caller)

    async def _hit_all(self, caller: str, number: int) -> bool:
        del number
        for item in self._items:
            if not await self._limiter.hit(item, caller):
                return False
        return True

    async def _pass_layer(self, caller: str, number: int) -> bool:
        del number
        async with self._layer._lock:
            history = await self._layer.retrieve_cached_history(caller, self._theirs)
            if len(history.history) >= self._layer.max_requests:
                return False
            await self._layer.set_cached_history(key=caller, cache_object=history, store=self._theirs)
        return True


class Figures:
    """Seconds of every decision, one after the other; and of one in batches with several at once."""

    def __init__(self) -> None:
        self.each: list[float] = []
        self.batches: list[float] = []
        self.cpu: list[float] = []

    async def one_by_one(self, decide: Decide) -> None:
        for caller, number in _asked():
            start = time.perf_counter()
            await decide(caller, number)
            self.each.append(time.perf_counter() - start)

    async def at_once(self, decide: Decide) -> None:
        asked, admitted = _asked(), []

        async def press() -> None:
            for caller, number in asked:
                admitted.append(await decide(caller, number))

        start, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(press() for _ in range(AT_ONCE)))
        self.batches.append((time.perf_counter() - start) / len(admitted))
        self.cpu.append((time.process_time() - cpu) / len(admitted))
        assert sum(admitted) == CALLERS * LIMIT, sum(admitted)


def _asked() -> Iterator[tuple[str, int]]:
    batch = next(BATCHES)
    for turn in range(ASKED):
        for number in range(CALLERS):
            yield f"{batch}-user-{number}", turn * CALLERS + number


async def measure(rounds: int) -> dict[str, Figures]:
    """All ways, round by round."""
    with Redis() as server:
        ways = Ways(server)
        await ways.begin()
        figures = {name: Figures() for name in ways.all}
        for _ in range(rounds):
            for name, decide in ways.all.items():
                ways.clear()
                gc.collect()
                await figures[name].one_by_one(decide)
                await figures[name].at_once(decide)
        await ways.end()
    return figures


def table(figures: dict[str, Figures]) -> str:
    """Microseconds, and how many times as long as ours with four parts."""
    first = _part(next(iter(figures.values())).each, 0.5)
    lines = [f"{'':32}{'p50 us':>9}{'p99 us':>9}{'ratio':>7}{f'{AT_ONCE} at once: /s':>16}{'us of CPU':>11}"]
    for name, each in figures.items():
        p50, p99 = _part(each.each, 0.5), _part(each.each, 0.99)
        rate, cpu = 1 / _part(each.batches, 0.5), _part(each.cpu, 0.5)
        lines.append(
            f"{name:32}{p50 * 1e6:9.0f}{p99 * 1e6:9.0f}{p50 / first:7.2f}{rate:16,.0f}{cpu * 1e6:11.0f}"
        )
    return "\n".join(lines)


def _part(values: Sequence[float], part: float) -> float:
    return sorted(values)[int(len(values) * part)]


if __name__ == "__main__":
    told = table(asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)))
    sys.stdout.write(f"Python {platform.python_version()}, {CALLERS} callers, {LIMIT} a minute\n{told}\n")
