"""A program under measurement: pinned to a core, in a session of its own, stopped while another is measured.

Refuses to leave anybody behind: leaving the context ends the whole session.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

SERVER_CORE, LOAD_CORE = 0, 1
TICK = os.sysconf("SC_CLK_TCK")
START_SECONDS = 120.0


class Program:
    """One program; what it says goes into a file of its folder."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        cores: str = str(SERVER_CORE),
    ) -> None:
        self._command, self.folder, self._environment, self._cores = command, folder, environment, cores
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "out.log").open("ab") as out, (self.folder / "err.log").open("ab") as err:
            self._process = subprocess.Popen(
                ["taskset", "-c", self._cores, *self._command],
                cwd=self.folder,
                env=dict(self._environment),
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.signal(signal.SIGKILL)
        self.process.wait()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running one."""
        assert self._process is not None
        return self._process

    @property
    def said(self) -> str:
        """All that it said on stderr."""
        return (self.folder / "err.log").read_text(errors="replace")

    def signal(self, number: int) -> None:
        """Send a signal to all of its session."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def wait_for(self, port: int) -> None:
        """Wait until it accepts connections there."""
        self._wait(lambda: _listens(port))

    def wait_for_word(self, word: str) -> None:
        """Wait until it says so."""
        self._wait(lambda: word in self.said)

    def _wait(self, done: Callable[[], bool]) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            if done():
                return
            time.sleep(0.01)
        raise AssertionError(f"{self._command[0]} did not start: {self.said[-500:]}")

    def cpu_seconds(self) -> float:
        """What all of its processes spent."""
        return sum(map(_spent, self._pids())) / TICK

    def resident_bytes(self) -> int:
        """Memory of all of its processes."""
        return sum(map(_resident, self._pids()))

    def _pids(self) -> list[int]:
        found, unseen = [], [self.process.pid]
        while unseen:
            pid = unseen.pop()
            found.append(pid)
            with suppress(OSError):
                for children in Path(f"/proc/{pid}/task").glob("*/children"):
                    unseen += map(int, children.read_text().split())
        return found


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False


def _spent(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS"))
