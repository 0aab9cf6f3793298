"""How long a start takes, what it takes in memory then, and how long `parley --help` takes.

Refuses one start for all: each figure is a median.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.bench.serving import building
from tests.bench.serving.rounds import load
from tests.bench.serving.systems import ROOT, System
from tests.harness.process import environment

STARTS = 3
QUIET_SECONDS = 3.0
PROGRAM = Path(sys.executable).parent / "parley"


def measure(
    folder: Path, systems: dict[str, Callable[[Path], AbstractContextManager[System]]]
) -> dict[str, Any]:
    """Seconds until a port is open, and MiB after one question and a rest; why one cannot be had."""
    told: dict[str, Any] = {"parley --help, s": _help(folder)}
    for name, start in systems.items():
        try:
            told[name] = _starts(folder / name.replace(" ", "-"), start)
        except (building.Missing, AssertionError) as error:
            told[name] = {"missing": str(error)}
    return told


def _starts(folder: Path, start: Callable[[Path], AbstractContextManager[System]]) -> dict[str, float]:
    """Medians of one system."""
    seconds, memory = [], []
    for number in range(STARTS):
        began = time.monotonic()
        with start(folder / str(number)) as system:
            seconds.append(time.monotonic() - began)
            load(system.targets["json"], 1, 0.1)
            time.sleep(QUIET_SECONDS)
            memory.append(system.program.resident_bytes() / (1 << 20))
    return {"ready_s": statistics.median(seconds), "idle_mib": statistics.median(memory)}


def _help(folder: Path) -> float:
    folder.mkdir(parents=True, exist_ok=True)
    known, took = environment({"PYTHONPATH": str(ROOT)}), []
    for _ in range(2 * STARTS + 1):
        began = time.monotonic()
        subprocess.run([str(PROGRAM), "--help"], cwd=folder, env=known, capture_output=True, check=True)
        took.append(time.monotonic() - began)
    return statistics.median(took)
