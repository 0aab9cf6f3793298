"""Begins to build collector and Jaeger as soon as it is known that tests need them, beside those that do not.

Refuses to outlive the tests: a build that nobody waited for is ended, and begun again the next time.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from telemetry.stack import build
from tests.stack.written import ROOT

REAL = Path(__file__).parent / "real"
BUILDING = pytest.StashKey[subprocess.Popen[bytes]]()
LEAST_FIRST = "19"
"""How willingly it leaves the processor to the tests."""


def pytest_collection_modifyitems(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Build, in one of the processes that run tests; a lock makes one of many."""
    wanted = any(item.path.is_relative_to(REAL) for item in items)
    if wanted and build.lacking() and shutil.which("go") and _is_first(config):
        config.stash[BUILDING] = subprocess.Popen(
            ["nice", "-n", LEAST_FIRST, sys.executable, "-m", "telemetry.stack", "build"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # who needs it builds what is missing then, and tells why it fails
            start_new_session=True,
        )


def _is_first(config: pytest.Config) -> bool:
    """Whether this process runs tests, and no other like it has a lower number."""
    alone = not config.getoption("numprocesses", default=None)
    return alone or os.environ.get("PYTEST_XDIST_WORKER") == "gw0"


def pytest_unconfigure(config: pytest.Config) -> None:
    """End a build that still runs."""
    if building := config.stash.get(BUILDING, None):
        with suppress(ProcessLookupError):
            os.killpg(building.pid, signal.SIGKILL)  # with the compilers it has started
        building.wait()
