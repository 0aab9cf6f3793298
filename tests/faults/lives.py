"""One installation that is killed again and again, and what is left of it at the end.

Refuses to forget: what any of its lives said on stdout, and what its callers heard, is kept to the verdict.
"""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec

from service import failpoint
from tests.faults.heard import Heard
from tests.harness.process import Process
from tests.harness.waiting import PATIENCE, wait

ROOT = Path(__file__).parents[2]
SECRET = "a root secret of the tests, long enough for anybody to believe it"
LEAN = (sys.executable, "-m", "tests.faults.lean")
FULL = (sys.executable, "-m", "service", "serve")
TYPES = (
    "agent_query_completed",
    "agent_query_failed",
    "agent_query_refused",
    "rate_limit_exceeded",
    "access_denied",
)
LIFE_SECONDS = 6.0
"""That a life may last which waits for a failpoint."""
OFTEN = ("journal.write", "journal.sync", "drain.append", "clerk", "store", "sink")
"""Beginnings of the places that are passed all the time; others a few times in a life."""
AT_STOP = frozenset({"journal.close.before"})
UNPASSED = frozenset({"journal.reserve.before", "journal.reserve.renamed", "journal.reserve.written"})
"""Places that only a full disk leads to."""
REHEARSED = tuple(name for name in failpoint.NAMES if name not in UNPASSED)


class Lives:
    """A working directory and a database; `settings` are added to every life's environment."""

    def __init__(
        self, cwd: Path, database_url: str, seed: int, program: tuple[str, ...] = LEAN, **settings: str
    ) -> None:
        self.cwd, self.database_url, self.program, self.seed = cwd, database_url, program, seed
        self.random = random.Random(seed)  # noqa: S311 - to be had again by its seed
        self.longest, self.most = LIFE_SECONDS, 40
        self.settings = {
            "DATABASE_URL": database_url,
            "AGENT_SECRET_KEY": SECRET,
            "AGENT_PORT": "0",
            "PYTHONPATH": str(ROOT),
            **settings,
        }
        self.heard: dict[str, Heard] = {}
        self.lines: list[dict[str, Any]] = []
        self.kills: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def journal(self) -> Path:
        """Where its writers' folders are."""
        return self.cwd / "var" / "journal"

    def start(self, **settings: str) -> Process:
        """Begin a life."""
        return Process(self.program, self.cwd, self.settings | settings)

    def end(self, process: Process, kind: str | None = None) -> None:
        """Kill it where it still lives, note by what it ended, and keep what it said."""
        process.kill()
        with self._lock:
            if kind:
                self.kills[kind] += 1
            for line in process.stderr:
                if line.startswith("HEARD "):
                    heard = msgspec.json.decode(line.removeprefix("HEARD "), type=Heard)
                    self.heard[heard.ask] = heard
            self.lines.extend(line for line in map(_line, process.stdout) if line)

    def hear(self, heard: Heard) -> None:
        """Somebody asks from outside."""
        self.heard[heard.ask] = heard

    def gather(self, process: Process) -> Future[None]:
        """Have people ask, in a thread, until it is dead; the lean house has its callers inside."""
        del process
        nobody = Future[None]()
        nobody.set_result(None)
        return nobody

    def live(self, kind: str) -> None:
        """One life that ends by a kill of this kind: `early`, `recovering`, `random`, or a failpoint."""
        if kind in failpoint.NAMES:
            self._live_until(kind)
            return
        process = self.start()
        try:
            if kind == "early":
                time.sleep(self.random.uniform(0.0, 1.0))
            else:
                up(process)
                self._ask(process, recovering=kind == "recovering")
        finally:
            self.end(process, kind)

    def _ask(self, process: Process, *, recovering: bool) -> None:
        crowd = self.gather(process)
        if not recovering:
            self.warm(process)
        time.sleep(self.random.uniform(0.0, 0.1 if recovering else 1.2))
        process.kill()  # while they ask
        crowd.result()

    def warm(self, process: Process) -> None:
        """Wait until it answers; the lean house does at once."""

    def _live_until(self, name: str) -> None:
        nth = 1 if name in AT_STOP else self.random.randint(1, self.most if name.startswith(OFTEN) else 2)
        process = self.start(PARLEY_FAILPOINT=f"{name}:{nth}")
        crowd = self.gather(process)
        try:
            self._await(process, name)
        finally:
            reached = process.code == failpoint.KILLED
            process.kill()
            crowd.result()
            self.end(process, name if reached else "random")

    def _await(self, process: Process, name: str) -> None:
        """Until it has ended; asked to stop meanwhile where the place may lie there."""
        end, stopping = time.monotonic() + self.longest, 0.0
        while process.code is None and time.monotonic() < end:
            if not stopping and _works(process):
                stopping = time.monotonic() + self.random.uniform(0.5, 2.0)
            if stopping and time.monotonic() > stopping and not name.startswith(OFTEN):
                _ask_to_stop(process)
                stopping = end
            time.sleep(0.02)

    def settle(self) -> None:
        """A last life in which nothing fails and nobody asks, until nothing waits; then an orderly stop."""
        process = self.start(FAULTS_CALLERS="0", AGENT_SHUTDOWN_GRACE_MS="60000")  # time, on a busy machine
        try:
            up(process)
            wait(lambda: len(self.folders()) <= 1, PATIENCE * 4, seen=process.said)
            assert process.stop() == 0, process.said()
        finally:
            self.end(process)
        assert not self.folders(), f"left behind: {self.folders()}"

    def folders(self) -> list[str]:
        """The writers' folders that are there."""
        there = self.journal.iterdir() if self.journal.exists() else ()
        return sorted(path.name for path in there if path.name != "alerts")


def up(process: Process) -> None:
    """Wait until it works, or died of itself."""
    wait(lambda: _ended(process) or _works(process))


def _works(process: Process) -> bool:
    word = "Up: " if process.command == LEAN else "Ready: "
    return any(line.startswith(word) for line in list(process.stderr))


def _ended(process: Process) -> bool:
    assert process.code in {None, failpoint.KILLED}, process.said()
    return process.code is not None


def _ask_to_stop(process: Process) -> None:
    subprocess.run(["kill", "-s", str(int(signal.SIGTERM)), str(process.pid)], check=False)


def _line(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None  # cut off by the kill
    return found if isinstance(found, dict) else None
