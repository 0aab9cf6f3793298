"""A PostgreSQL server of the tests' own, from Debian's package, on a free port of the loopback.

Refuses to run as root: where the tests do, the server is the package's user `postgres`.
"""

import csv
import io
import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Self

from tests.harness.need import missing
from tests.harness.ports import claim
from tests.harness.process import Process, environment
from tests.harness.waiting import wait

USER, PASSWORD = "parley", "pass-word-of-the-tests"
UNPRIVILEGED = "postgres"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "logging_collector": "off",
    "log_min_messages": "fatal",
    "max_connections": "100",
    "max_wal_size": "128MB",
}


class Postgres:
    """One server. A context manager: entering makes and starts it, leaving ends and removes it.

    `stop`, `start`, `freeze` and `thaw` are for tests of outages; each database of `database()` is new.
    """

    def __init__(self) -> None:
        self.port = claim()
        self._folder = Path(tempfile.mkdtemp(prefix="parley-postgres-"))
        self._programs = _programs()
        self._process: Process | None = None
        self._numbers = count(1)

    def __enter__(self) -> Self:
        try:
            self._init()
            return self.start()
        except BaseException:
            self._end()
            raise

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def data(self) -> Path:
        """The server's data directory."""
        return self._folder / "data"

    def url(self, database: str, options: str = "") -> str:
        """The URL of a database, with the password."""
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}{options}"

    def database(self, options: str = "") -> str:
        """Make a new, empty database and return its URL; `options` are those of CREATE DATABASE."""
        name = f"test_{next(self._numbers)}"
        self.sql(f"CREATE DATABASE {name} {options}", "postgres")
        return self.url(name)

    def sql(self, statement: str, database: str) -> list[dict[str, str]]:
        """Say something to the server as a foreign client; each row as column name to text.

        Raises:
            AssertionError: it did not do it; with what it said.
        """
        done = subprocess.run(
            [
                *(self._programs / "psql", "-Xq", "--csv", "-v", "ON_ERROR_STOP=1"),
                *("-d", self.url(database), "-c", statement),
            ],
            env=environment({}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return list(csv.DictReader(io.StringIO(done.stdout)))

    def start(self, **settings: str) -> Self:
        """Start it and wait until it answers."""
        given = [f"--{name}={value}" for name, value in (SETTINGS | settings).items()]
        program = [str(self._programs / "postgres"), "-D", str(self.data), f"--port={self.port}", *given]
        self._process = Process([*_as_nobody_special(), *program], self._folder, {})
        wait(self._answers, seen=self._process.said)
        return self

    def stop(self, number: int = signal.SIGINT) -> None:
        """End it: SIGINT disconnects everybody, SIGQUIT is a crash."""
        if self._process:
            self._process.stop(number)

    def freeze(self) -> None:
        """Let every process of it stand still, as a server does that the network has lost."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    @property
    def processor_seconds(self) -> float:
        """What the processes that run now have had of the processors since they began."""
        assert self._process, "not started"
        return sum(map(_processor_seconds, (self._process.pid, *_children(self._process.pid))))

    def _signal(self, number: int) -> None:
        assert self._process, "not started"
        # The postmaster first, so that it starts nobody meanwhile; each backend has a group of its own.
        for pid in (self._process.pid, *_children(self._process.pid)):
            with suppress(ProcessLookupError):  # a backend that ended meanwhile
                os.kill(pid, number)

    def _answers(self) -> bool:
        program = [self._programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        assert self._process, "not started"
        assert self._process.code is None, self._process.said()
        return subprocess.run(program, check=False).returncode == 0

    def _init(self) -> None:
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (self._folder, secret):
                shutil.chown(path, UNPRIVILEGED, UNPRIVILEGED)
        program = [str(self._programs / "initdb"), "-D", str(self.data), "-U", USER, "--no-sync"]
        program += ["--pwfile", str(secret), "-A", "scram-sha-256", "-E", "UTF8"]
        # A locale that sorts as people do, not as SQLite does.
        program += ["--locale=C", "--locale-provider=icu", "--icu-locale=en-US"]
        subprocess.run([*_as_nobody_special(), *program], cwd=self._folder, check=True, capture_output=True)

    def _end(self) -> None:
        try:
            if self._process and self._process.code is None:
                self.thaw()
                self.stop(signal.SIGQUIT)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)


def _programs() -> Path:
    """Where Debian's package has the server's programs, or a test's end without them."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    return Path(shutil.which("initdb") or missing("postgresql is not installed")).parent


def _as_nobody_special() -> list[str]:
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--init-groups"]


def _children(pid: int) -> list[int]:
    return [int(found) for found in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _processor_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
