"""What a process has at a moment: memory, file descriptors, threads, asyncio tasks; and whether it grows.

Refuses to guess tasks: the process itself writes their number, by tests/faults/inside/sitecustomize.py.
"""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from statistics import median

from msgspec import Struct

from tests.faults.overload import Watched

INSIDE = Path(__file__).parent / "inside"
KINDS = ("fds", "threads", "tasks")
EVERY = 0.5


class Vitals(Struct, frozen=True):
    """At one moment; `memory` is resident, in MiB; `fds` are without connections that pools keep."""

    memory: float
    fds: int
    threads: int
    tasks: int


class Pulse:
    """Of one process; `seen` are samples, taken while `feel` runs.

    `pools` are the ports of servers to which it may keep connections.
    """

    def __init__(self, pid: int, tasks: Path, pools: Collection[int]) -> None:
        self._pid, self._tasks, self._pools, self._watched = pid, tasks, pools, Watched(pid)
        self.seen: list[Vitals] = []

    def now(self) -> Vitals:
        """At this moment."""
        threads = len(list(Path(f"/proc/{self._pid}/task").iterdir()))
        memory, tasks = round(self._watched.resident(), 1), int(self._tasks.read_text())
        return Vitals(memory, self._others(), threads, tasks)

    def _others(self) -> int:
        kept = self._kept()
        return sum(each not in kept for each in self._open())

    def _open(self) -> list[str]:
        found: list[str] = []
        for each in Path(f"/proc/{self._pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                found.append(str(each.readlink()))
        return found

    def _kept(self) -> set[str]:
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        ports = {f"{port:04X}" for port in self._pools}
        return {f"socket:[{line[9]}]" for line in lines if line[2].rpartition(":")[2] in ports}

    async def feel(self) -> None:
        """Sample until cancelled."""
        while True:
            self.seen.append(self.now())
            await asyncio.sleep(EVERY)


def settings(tasks: Path) -> dict[str, str]:
    """The environment of a process whose tasks are told to a file."""
    return {"PYTHONPATH": str(INSIDE), "PARLEY_TASKS_FILE": str(tasks)}


def quarters(values: Sequence[float]) -> tuple[float, float]:
    """The medians of the first and the last quarter."""
    part = max(1, len(values) // 4)
    return median(values[:part]), median(values[-part:])


def course(values: Sequence[float], number: int = 12) -> list[float]:
    """The medians of so many parts, in order."""
    edges = [place * len(values) // number for place in range(number + 1)]
    return [median(values[start:end]) for start, end in pairwise(edges) if end > start]


def slope(values: Sequence[float]) -> float:
    """By how much they grow from one to the next, as the line that fits best."""
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    across = sum((place - middle) ** 2 for place in range(len(values)))
    return sum((place - middle) * (value - mean) for place, value in enumerate(values)) / (across or 1)
