"""The logging of one test: ours for its time, then pytest's again."""

import logging
from io import StringIO

import msgspec
import pytest

from config.settings import Logs, Settings
from telemetry import log


class Out(StringIO):
    """A stdout that can be read as lines."""

    @property
    def lines(self) -> list[str]:
        return self.getvalue().split("\n")[:-1]

    @property
    def objects(self) -> list[dict]:
        return [msgspec.json.decode(line) for line in self.lines]


@pytest.fixture
def start_log():
    """`start_log(**logs)`: our logging with these settings of AGENT_LOG_*; gives what reaches stdout."""
    root, ours = logging.getLogger(), logging.getLogger("parley")
    kept = root.handlers[:], root.level, ours.level

    def start(*, content: bool = False, **logs) -> Out:
        out = Out()
        log.start(Settings(logs=Logs(**logs), telemetry_content=content), out)
        return out

    yield start
    root.handlers[:] = kept[0]
    root.setLevel(kept[1])
    ours.setLevel(kept[2])
    logging.captureWarnings(capture=False)


@pytest.fixture
def out(start_log):
    """What reaches stdout with the default settings."""
    return start_log()
