"""The whole service as its users meet it: a process, a URL, lines on stdout, a database file, a CLI.

Refuses to look inside: nothing of ours is imported here, so that only what is promised can be tested.
"""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Self

from tests.harness.matching import matches
from tests.harness.process import Process, environment
from tests.harness.sql import ask
from tests.harness.waiting import PATIENCE, wait

PROGRAM = (sys.executable, "-m", "service")

_QUERIES = """SELECT * FROM "AuditEvent" WHERE "entityType" = 'AGENT_QUERY' ORDER BY "createdAt", "id" """


class Service:
    """One service in a working directory of its own, on a free port, on the simulator unless told otherwise.

    A context manager: entering starts it and waits for `Ready:`, leaving kills what is left. After `stop()`
    or `kill()` another `start()` runs it again over the same directory; the lines of earlier runs stay.

    Args:
        cwd: where its database, journal and keys go.
        settings: its environment; nothing of the tests' own environment but PATH and the like is added. The
            attribute is a dict of its own: change it to start again with other settings.
        program: the command that `serve` and other commands are given to.
        arguments: what `serve` is given.
    """

    def __init__(
        self,
        cwd: Path,
        settings: Mapping[str, str] | None = None,
        program: Sequence[str] = PROGRAM,
        arguments: Sequence[str] = (),
    ) -> None:
        self.cwd = cwd
        self.settings = {"AGENT_PORT": "0", **(settings or {})}
        self.program, self.arguments = tuple(program), tuple(arguments)
        self.url = ""
        self._runs: list[Process] = []

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> Self:
        """Start it, wait until it says that it is ready, and return it.

        Raises:
            AssertionError: it ended, or did not get ready in time; with all that it printed.
        """
        assert not self.running, "already running"
        self._runs.append(Process([*self.program, "serve", *self.arguments], self.cwd, self.settings))
        try:
            self.url = self.process.wait_for_word("Ready")
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self, number: int = signal.SIGTERM, seconds: float = PATIENCE) -> int:
        """Send a signal, wait for the end and return the exit code; see `Process.stop`."""
        return self.process.stop(number, seconds)

    def kill(self) -> None:
        """End it as a crash would, by SIGKILL; nothing where it does not run."""
        if self._runs:
            self.process.kill()

    @property
    def process(self) -> Process:
        """The latest run."""
        assert self._runs, "not started"
        return self._runs[-1]

    @property
    def running(self) -> bool:
        """Whether it runs now."""
        return bool(self._runs) and self.process.code is None

    @property
    def pid(self) -> int:
        """The process id of the latest run."""
        return self.process.pid

    @property
    def api_key(self) -> str:
        """The key it made on its first start in this directory."""
        return self._told("API key")

    @property
    def console(self) -> str:
        """The sign-in address it printed last."""
        return self._told("Console")

    @property
    def stdout(self) -> list[str]:
        """Every line on stdout, over all runs."""
        return [line for run in self._runs for line in list(run.stdout)]

    @property
    def stderr(self) -> str:
        """Everything on stderr, over all runs."""
        return "\n".join(line for run in self._runs for line in list(run.stderr))

    def lines(self, **fields: Any) -> list[dict[str, Any]]:
        """Log lines with these values, such as `type="agent_query_completed"`.

        Raises:
            ValueError: a line on stdout is not JSON.
            AssertionError: a line on stdout is JSON, but no object.
        """
        return [line for line in map(_object, self.stdout) if matches(line, fields)]

    def wait_for_line(self, seconds: float = PATIENCE, **fields: Any) -> dict[str, Any]:
        """Wait for a log line with these values and return the first."""
        return wait(lambda: self.lines(**fields), seconds, seen=self.said)[0]

    def sql(self, query: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Ask its database; each row as column name to value. A SQLite file is only read.

        Raises:
            sqlite3.OperationalError: there is no file or no such table, or the query would write.
        """
        if "DATABASE_URL" in self.settings:
            return ask(self.settings["DATABASE_URL"], query, *parameters)
        with closing(sqlite3.connect(self._database(), uri=True, timeout=PATIENCE)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query, parameters)]

    def rows(self, **columns: Any) -> list[dict[str, Any]]:
        """Audit rows of turns whose columns have these values, oldest first, `metadata` decoded."""
        return [row for row in map(_decoded, self.sql(_QUERIES)) if matches(row, columns)]

    def wait_for_rows(
        self, count: int = 1, seconds: float = PATIENCE, **columns: Any
    ) -> list[dict[str, Any]]:
        """Wait for at least `count` audit rows with these values (`entityId=…`), and return all of them."""
        found: list[dict[str, Any]] = []

        def enough() -> bool:
            found[:] = self.rows(**columns)
            return len(found) >= count

        wait(enough, seconds, seen=lambda: f"rows: {self.rows()}\n{self.said()}")
        return found

    def cli(
        self, *arguments: str, stdin: str = "", seconds: float = PATIENCE
    ) -> subprocess.CompletedProcess[str]:
        """Run another command of it in the same directory and environment; any exit code is returned.

        Raises:
            subprocess.TimeoutExpired: it did not end in time; it is killed then.
        """
        return subprocess.run(
            [*self.program, *arguments],
            cwd=self.cwd,
            env=environment(self.settings),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def said(self) -> str:
        """All that every run printed, in words, for an error's text."""
        return "\n".join(run.said() for run in self._runs)

    def _told(self, word: str) -> str:
        prefix = f"{word}: "
        found = [line for line in self.stderr.split("\n") if line.startswith(prefix)]
        assert found, f"never said {word!r}\n{self.said()}"
        return found[-1].removeprefix(prefix)

    def _database(self) -> str:
        return f"{(self.cwd / 'var' / 'parley.db').as_uri()}?mode=ro"


def _object(line: str) -> dict[str, Any]:
    found = json.loads(line)
    assert isinstance(found, dict), f"not a JSON object: {line}"
    return found


def _decoded(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"metadata": json.loads(row["metadata"])}
