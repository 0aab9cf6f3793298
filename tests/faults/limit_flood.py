"""A flood of keys beside a victim and an offender, and a caller that asks all the time.

Refuses nothing: what it finds is figures, and sentences where somebody was treated wrongly.
"""

import time
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from service.limits.demand import Demand, Kind, Part, Rule
from service.limits.memory import MemoryStore
from tests.faults.limit_windows import MS, Entry, most_in_a_window

OFTEN = 1_000
"""Times in a window that a caller asks at least who asks all the time."""


class Clock:
    """Nanoseconds that move only when told."""

    def __init__(self, now: int = 10**15) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


async def fewest_in_a_window(one: Rule, windows: int = 10) -> int:
    """Of a caller that asks all the time for one, the fewest that any window after the first admits."""
    clock = Clock()
    store, times, pause = MemoryStore(clock), [], one.window_ms * MS // max(5 * one.limit, OFTEN)
    part = Part(rule=one, subject="steady")
    for _ in range(max(5 * one.limit, OFTEN) * windows):
        clock.now += pause
        if not (await store.decide(Demand(tag="", parts=(part,)))).denied:
            times.append(clock.now)
    length, fewest, end = one.window_ms * MS, one.limit, 0
    for start, time_ in enumerate(times):
        if time_ + length > clock.now:
            break
        while end < len(times) and times[end] <= time_ + length:
            end += 1
        fewest = min(fewest, end - start - 1)
    return fewest


class Flood(Struct):
    """What came of it: states held at the end, most memory (MB), CPU time of a decision (us), every fault."""

    keys: int
    held: int
    megabytes: float
    quantiles: Sequence[float]
    faults: list[str]


async def flood(keys: int) -> Flood:
    """New keys without end, beside one who keeps to its limit and one who never does."""
    clock, spent, faults = Clock(), array("q", bytes(8 * 1_000_000)), []
    one = Rule(name="address", kind=Kind.COUNT, limit=20, window_ms=60_000)
    before, most, store = _resident(), 0.0, MemoryStore(clock)
    victim, offender = (
        Demand(tag=name, parts=(Part(rule=one, subject=name),)) for name in ("victim", "offender")
    )
    admitted = array("q")
    for number in range(keys):
        name = f"2001:db8:{number:x}::/64"
        demand = Demand(tag=f"address {name}", parts=(Part(rule=one, subject=name),))
        start = time.thread_time_ns()
        await store.decide(demand)
        spent[min((time.thread_time_ns() - start) // 100, len(spent) - 1)] += 1
        clock.now += 25_000
        if number % 200_000 == 100 and (await store.decide(victim)).denied:
            faults.append(f"the victim was denied at key {number}")
        if number % 50_000 == 0:
            most = max(most, _resident())
        if number % 1_000 == 0 and not (await store.decide(offender)).denied:
            admitted.append(clock.now)
    if most_in_a_window(Entry(one, admitted, array("q", [1]) * len(admitted), array("q"))) > one.limit:
        faults.append("the offender had more than its limit")
    return Flood(keys, len(store), max(most, _resident()) - before, list(_quantiles(spent)), faults)


def _resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096 / 1e6


def _quantiles(spent: "array[int]") -> Iterator[float]:
    total, below, wanted = sum(spent), 0, [0.5, 0.99, 0.999, 1.0]
    for tenths, number in enumerate(spent):
        below += number
        while wanted and below >= total * wanted[0]:
            yield tenths / 10
            wanted.pop(0)
