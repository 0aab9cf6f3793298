"""The whole service with callers over HTTP, killed again and again.

Refuses to wait for callers: when their service is killed, they notice, or are told to go.
"""

import asyncio
import json
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

from tests.faults.asking import SETTINGS, Crowd
from tests.faults.lives import FULL, Lives
from tests.harness.process import Process, environment
from tests.harness.waiting import PATIENCE, wait

LIFE_SECONDS = 15.0
READY, SAID = "Ready: ", 3_000


class Crowded(Lives):
    """An installation of the whole service; callers ask from when it is up until it is dead."""

    def __init__(self, cwd: Path, database_url: str, seed: int, **settings: str) -> None:
        super().__init__(cwd, database_url, seed, FULL, **SETTINGS, **settings)
        self.enough = Event()
        self._threads = ThreadPoolExecutor()
        self.longest, self.most = LIFE_SECONDS, 6

    def gather(self, process: Process) -> Future[None]:
        """Let forty callers ask from when it is up until it is dead, or they have had enough."""
        return self._threads.submit(self._crowd, process)

    def warm(self, process: Process) -> None:
        """Wait until it answered somebody."""
        self.tell_more(process, 1)

    def tell_more(self, process: Process, number: int, outcome: str = "answered") -> None:
        """Wait until it told so many more callers of this outcome, or is dead."""
        enough = self.told(outcome) + number
        wait(
            lambda: process.code is not None or self.told(outcome) >= enough,
            PATIENCE * 4,
            seen=lambda: _last(process),
        )

    def told(self, outcome: str) -> int:
        """Callers who were told that their turn ended so."""
        return sum(heard.outcome == outcome for heard in list(self.heard.values()))

    def verify(self) -> Any:
        """What the command says of the log, held against the checkpoints that were told in log lines."""
        told = self.cwd / "told.jsonl"
        told.write_text("".join(f"{json.dumps(line)}\n" for line in self.lines))
        program = (*FULL[:-1], "audit", "verify", "--json", "--checkpoint", str(told))
        done = subprocess.run(
            program, cwd=self.cwd, env=environment(self.settings), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def _crowd(self, process: Process) -> None:
        wait(lambda: process.code is not None or ready(process))
        if process.code is None:
            asyncio.run(Crowd(ready(process), self.hear, self.random, self.enough).ask())


def _last(process: Process) -> str:
    return process.said()[-SAID:]


def ready(process: Process) -> str:
    """Where it answers; empty while it does not."""
    told = [line for line in list(process.stderr) if line.startswith(READY)]
    return told[0].removeprefix(READY) if told else ""
