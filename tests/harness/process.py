"""A program that a test starts, listens to and ends.

Refuses to outlive the test: its whole group is killed at the end, and also when the tests themselves are.
"""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from tests.harness.waiting import PATIENCE, wait

KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "TZ")
"""What a program inherits; any other variable could be a setting of somebody's shell."""

# Reads until the tests' end of the pipe closes, which happens however they die. dash, which is Debian's sh,
# knows `-s KILL` before a group, not `-KILL`.
_GUARD = 'read -r _; kill -s KILL -- "-$1"'


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program: what is kept of ours, and its settings."""
    return {name: os.environ[name] for name in KEPT if name in os.environ} | dict(settings)


class Process:
    """One running program, in a session of its own, with the lines it prints.

    `stdout` and `stderr` grow while it runs; each is a list of lines without their ends. A context manager.
    """

    def __init__(self, command: Sequence[str], cwd: Path, settings: Mapping[str, str]) -> None:
        self.command = tuple(command)
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        self._released = False
        self._popen = subprocess.Popen(
            self.command,
            cwd=cwd,
            env=environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._guard = _guard(self.pid)
        self._readers = [
            _reader(self._popen.stdout, self.stdout),
            _reader(self._popen.stderr, self.stderr),
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """Its process id, which is its group's too."""
        return self._popen.pid

    @property
    def code(self) -> int | None:
        """Its exit code, minus the signal's number where one ended it; None while it runs."""
        return self._popen.poll()

    def wait_for_word(self, word: str, seconds: float = PATIENCE) -> str:
        """Wait for the first line on stderr that begins with `word: `, and return what follows.

        Raises:
            AssertionError: it ended or the time did, with all that it printed.
        """
        prefix = f"{word}: "

        def told() -> list[str]:
            # Asked before the lines are read: what a program prints last is still heard.
            ended = self.code is not None and not any(reader.is_alive() for reader in self._readers)
            found = [line.removeprefix(prefix) for line in list(self.stderr) if line.startswith(prefix)]
            assert found or not ended, f"ended before it said {word!r}\n{self.said()}"
            return found

        return wait(told, seconds, seen=self.said)[0]

    def said(self) -> str:
        """All that it printed, in words, for an error's text."""
        state = "runs" if self.code is None else f"exit code {self.code}"
        parts = [f"{' '.join(self.command)}: {state}", "stdout:", *self.stdout, "stderr:", *self.stderr]
        return "\n".join(parts)

    def stop(self, number: int = signal.SIGTERM, seconds: float = PATIENCE) -> int:
        """Send a signal, wait for the end and return the exit code; every line it printed is there then.

        Raises:
            AssertionError: it did not end in time; it is killed then.
        """
        self._popen.send_signal(number)
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end on signal {number} in {seconds:g} s\n{self.said()}") from None
        finally:
            self.kill()

    def kill(self) -> None:
        """End it and its children at once; a second call does nothing."""
        if self._released:
            return
        self._released = True
        # Its children are in its group; where none is left there is no group either.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        self._release()

    def _release(self) -> None:
        self._guard.kill()
        self._guard.wait()
        for reader in self._readers:
            reader.join()
        for pipe in (self._popen.stdout, self._popen.stderr, self._guard.stdin):
            if pipe:
                pipe.close()


def _guard(group: int) -> subprocess.Popen[bytes]:
    command = ["/bin/sh", "-c", _GUARD, "guard", str(group)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)


def _reader(pipe: IO[bytes] | None, lines: list[str]) -> threading.Thread:
    def read() -> None:
        for line in pipe or ():
            lines.append(line.decode(errors="replace").rstrip("\n"))  # noqa: PERF401 - heard one by one

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread
