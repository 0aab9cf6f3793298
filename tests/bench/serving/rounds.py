"""Rounds in which each system has its turn while the others are stopped; medians, and how far rounds differ.

Refuses to compare two moments: every round has a turn of each, in an order that moves on. An answer that is
short or none is `bad`, and a system with such is not compared.
"""

import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec import Struct

from tests.bench.serving import building
from tests.bench.serving.process import LOAD_CORE
from tests.bench.serving.systems import System, Target

WORD, PIECES = "piece ", 20
"""Each answer has this word so often, whoever passes it on."""
TOLD = ("rate", "p50", "p99", "first_p50", "first_p99", "cpu_ms")
PATIENCE = 60.0


class Plan(Struct, frozen=True):
    """How much is measured."""

    rounds: int = 5
    seconds: float = 3.0
    callers: tuple[int, ...] = (1, 32, 128)


class Row(Struct, frozen=True):
    """What one system did for so many callers: medians over the rounds, and the rates of all of them."""

    system: str
    kind: str
    callers: int
    rate: float
    rates: tuple[float, ...]
    p50: float
    p99: float
    first_p50: float
    first_p99: float
    cpu_ms: float
    answers: int
    bad: int

    @property
    def spread(self) -> float:
        """Of the rates, from the least to the greatest, as a part of the median."""
        return (max(self.rates) - min(self.rates)) / self.rate if self.rate else 0.0


def load(target: Target, callers: int, seconds: float) -> dict[str, Any]:
    """Ask for a while; microseconds and counts."""
    program = str(building.programs() / "load")
    given = [str(target.port), target.path, str(target.body), str(callers), str(seconds), WORD, str(PIECES)]
    done = subprocess.run(
        ["taskset", "-c", str(LOAD_CORE), program, *given, *target.headers],
        capture_output=True,
        text=True,
        timeout=seconds + PATIENCE,
        check=False,
    )
    if done.stderr.strip():
        sys.stderr.write(f"bench: {target.path}: {done.stderr.strip()[:300]}\n")
    return json.loads(done.stdout)


@contextmanager
def alone(system: System, others: Sequence[System]) -> Iterator[None]:
    """Have the processor for one system."""
    for other in others:
        other.program.signal(signal.SIGSTOP)
    system.program.signal(signal.SIGCONT)
    time.sleep(0.2)
    try:
        yield
    finally:
        for other in others:
            other.program.signal(signal.SIGCONT)


def turn(system: System, kind: str, callers: int, seconds: float) -> dict[str, Any]:
    """One system's turn, and what its processes spent for an answer."""
    before = system.program.cpu_seconds()
    found = load(system.targets[kind], callers, seconds)
    spent = system.program.cpu_seconds() - before
    return {**found, "cpu_ms": spent * 1000 / found["all"] if found["all"] else 0.0}


def measure(systems: Mapping[str, System], kind: str, plan: Plan) -> list[Row]:
    """All systems, for each number of callers round by round."""
    rows = []
    for name, system in systems.items():
        with alone(system, [each for each in systems.values() if each is not system]):
            load(system.targets[kind], 8, 1.0)
            sys.stderr.write(f"bench: {kind} {name} is warm\n")
    for callers in plan.callers:
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in systems}
        names = list(systems)
        for number in range(plan.rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                others = [system for other, system in systems.items() if other != name]
                with alone(systems[name], others):
                    found[name].append(turn(systems[name], kind, callers, plan.seconds))
        rows += [_row(name, kind, callers, each) for name, each in found.items()]
    return rows


def _row(name: str, kind: str, callers: int, found: Sequence[Mapping[str, Any]]) -> Row:
    told = {key: statistics.median(each[key] for each in found) for key in TOLD}
    return Row(
        system=name,
        kind=kind,
        callers=callers,
        rates=tuple(each["rate"] for each in found),
        answers=sum(each["good"] for each in found),
        bad=sum(each["bad"] for each in found),
        **told,
    )
