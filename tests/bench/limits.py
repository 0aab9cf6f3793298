"""What a decision in memory costs: `python -m tests.bench.limits [ROUNDS]`, a table on stdout.

Beside it in the same run: `limits` (moving window, in memory), and the store path of Litestar's middleware.
Refuses to compare two moments: every round has a batch of each, with the same callers in the same order.
"""

import asyncio
import gc
import platform
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from litestar.middleware.rate_limit import RateLimitConfig, RateLimitMiddleware
from litestar.stores.memory import MemoryStore as LitestarStore

from service.limits.demand import Demand, Kind, Part, Rule
from service.limits.memory import MemoryStore

ROUNDS, CALLERS, LIMIT = 40, 200, 20
ASKED = LIMIT * 5 // 4
"""Times that each caller asks in a round: four of five are admitted."""
RULES = (
    Rule(name="role", kind=Kind.COUNT, limit=LIMIT, window_ms=60_000),
    Rule(name="model", kind=Kind.COUNT, limit=10 * LIMIT, window_ms=60_000),
    Rule(name="tokens", kind=Kind.QUANTITY, limit=1_000_000, window_ms=60_000),
    Rule(name="concurrency", kind=Kind.LEASE, limit=25, window_ms=300_000),
)
Decide = Callable[[str, int], Awaitable[bool]]
"""Of a caller, and of a number that no other has in the round: whether it was admitted."""


def ours(*rules: Rule) -> Decide:
    """All rules in one step; the demand is made anew, as for every request."""
    store = MemoryStore()

    async def decide(caller: str, number: int) -> bool:
        parts = tuple(Part(rule=each, subject=caller) for each in rules)
        return (await store.decide(Demand(tag=caller, parts=parts, lease=str(number)))).denied is None

    return decide


def bare(*rules: Rule) -> Decide:
    """The same demands made beforehand: the decision alone."""
    store, demands = MemoryStore(), {}

    async def decide(caller: str, number: int) -> bool:
        del caller
        return (await store.decide(demands[number])).denied is None

    for number in range(CALLERS * ASKED):
        parts = tuple(Part(rule=each, subject=f"user-{number % CALLERS}") for each in rules)
        demands[number] = Demand(tag=parts[0].subject, parts=parts, lease=str(number))
    return decide


def library(policies: int) -> Decide:
    """`limits`: one hit for each policy, as many as admit."""
    limiter = MovingWindowRateLimiter(MemoryStorage())
    items = [RateLimitItemPerMinute(LIMIT, namespace=f"policy-{number}") for number in range(policies)]

    async def decide(caller: str, number: int) -> bool:
        del number
        for item in items:
            if not await limiter.hit(item, caller):
                return False
        return True

    return decide


def middleware() -> Decide:
    """What Litestar's middleware does with its store for one request."""
    layer = RateLimitMiddleware(app=None, config=RateLimitConfig(rate_limit=("minute", LIMIT)))
    store = LitestarStore()

    async def decide(caller: str, number: int) -> bool:
        del number
        async with layer._lock:
            history = await layer.retrieve_cached_history(caller, store)
            if len(history.history) >= layer.max_requests:
                return False
            await layer.set_cached_history(key=caller, cache_object=history, store=store)
        return True

    return decide


WAYS: dict[str, Callable[[], Decide]] = {
    "parley, 4 parts": lambda: bare(*RULES),
    "parley, 4 parts, demand made": lambda: ours(*RULES),
    "parley, 1 count": lambda: bare(RULES[0]),
    "limits, 1 moving window": lambda: library(1),
    "limits, 4 moving windows": lambda: library(4),
    "litestar's middleware": middleware,
}


class Figures:
    """Nanoseconds of every decision, and of each batch the processor's time for one."""

    def __init__(self) -> None:
        self.each: list[int] = []
        self.batches: list[float] = []

    async def batch(self, decide: Decide) -> None:
        """One batch of a new store, decision by decision."""
        for number, caller in enumerate(_callers()):
            start = time.perf_counter_ns()
            await decide(caller, number)
            self.each.append(time.perf_counter_ns() - start)

    async def burst(self, decide: Decide) -> None:
        """The same with a new store and no clock in between; each caller is admitted as often."""
        admitted, start = 0, time.process_time_ns()
        for number, caller in enumerate(_callers()):
            admitted += await decide(caller, number)
        self.batches.append((time.process_time_ns() - start) / (CALLERS * ASKED))
        assert admitted == CALLERS * LIMIT, admitted


def _callers() -> Sequence[str]:
    return [f"user-{number}" for _ in range(ASKED) for number in range(CALLERS)]


async def measure(rounds: int) -> dict[str, Figures]:
    """All ways, round by round."""
    figures = {name: Figures() for name in WAYS}
    for _ in range(rounds):
        for name, make in WAYS.items():
            gc.collect()
            await figures[name].batch(make())
            await figures[name].burst(make())
    return figures


def table(figures: dict[str, Figures]) -> str:
    """Microseconds, and how many times as long as ours with four parts."""
    first = _median(next(iter(figures.values())).batches)
    lines = [f"{'':32}{'decisions/s':>13}{'us of CPU':>11}{'best':>8}{'p50':>8}{'p99':>8}{'ratio':>8}"]
    for name, each in figures.items():
        median, ordered = _median(each.batches), sorted(each.each)
        wall = [ordered[int(len(ordered) * part)] / 1_000 for part in (0.5, 0.99)]
        lines.append(
            f"{name:32}{1e9 / median:13,.0f}{median / 1_000:11.2f}{min(each.batches) / 1_000:8.2f}"
            f"{wall[0]:8.2f}{wall[1]:8.2f}{median / first:8.2f}"
        )
    return "\n".join(lines)


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    told = table(asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)))
    sys.stdout.write(f"Python {platform.python_version()}, {CALLERS} callers, {LIMIT} a minute\n{told}\n")
