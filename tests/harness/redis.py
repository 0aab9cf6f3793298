"""A Redis server of the tests' own, from Debian's package, on a free port of the loopback.

Refuses to keep anything: what it holds is gone when it ends, unless a test says otherwise.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.harness.need import need
from tests.harness.ports import claim
from tests.harness.process import Process, environment
from tests.harness.waiting import wait

PASSWORD = "pass-word-of-the-tests"
SETTINGS = {"bind": "127.0.0.1", "save": "", "appendonly": "no", "requirepass": PASSWORD}


class Redis:
    """One server. A context manager: entering starts it, leaving ends it and removes what it kept.

    `stop`, `start`, `freeze` and `thaw` are for tests of outages; `port` stays the same.
    """

    def __init__(self, **settings: str) -> None:
        self.port = claim()
        self._settings = SETTINGS | settings
        self._folder = Path(tempfile.mkdtemp(prefix="parley-redis-"))
        self._process: Process | None = None

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self._end()
            raise

    def __exit__(self, *_: object) -> None:
        self._end()

    def url(self, port: int | None = None, database: int = 0) -> str:
        """The URL, with the password; by way of another port where one is given."""
        return f"redis://:{PASSWORD}@127.0.0.1:{port or self.port}/{database}"

    def start(self, **settings: str) -> Self:
        """Start it and wait until it answers."""
        given = [word for name, value in (self._settings | settings).items() for word in (f"--{name}", value)]
        program = [need("redis-server"), "--port", str(self.port), "--dir", str(self._folder), *given]
        self._process = Process(program, self._folder, {})
        wait(self._answers, seen=self._process.said)
        return self

    def stop(self, number: int = signal.SIGKILL) -> None:
        """End it: by default as a crash does."""
        if self._process:
            self._process.stop(number)

    def freeze(self) -> None:
        """Let it stand still: connections are made, and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def say(self, *words: str | int) -> str:
        """Say one command to it as a foreign client, and return the answer.

        Raises:
            AssertionError: it did not do it; with what it said.
        """
        done = self._client(*words)
        assert done.returncode == 0, done.stderr
        assert not done.stdout.startswith(("ERR", "NOAUTH", "OOM")), done.stdout
        return done.stdout.strip()

    def _client(self, *words: str | int) -> subprocess.CompletedProcess[str]:
        program = [need("redis-cli"), "-h", "127.0.0.1", "-p", str(self.port), *map(str, words)]
        given = environment({"REDISCLI_AUTH": PASSWORD})
        return subprocess.run(
            program, env=given, capture_output=True, text=True, check=False, errors="backslashreplace"
        )

    def _signal(self, number: int) -> None:
        assert self._process, "not started"
        os.kill(self._process.pid, number)

    def _answers(self) -> bool:
        assert self._process, "not started"
        assert self._process.code is None, self._process.said()
        return self._client("PING").stdout.strip() == "PONG"

    def _end(self) -> None:
        try:
            if self._process and self._process.code is None:
                self.stop(signal.SIGKILL)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
