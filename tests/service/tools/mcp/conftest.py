"""What the tests of MCP servers share: the lines that were told, as a reader of stdout has them.

Refuses nothing: whoever asks gets all.
"""

import logging
from collections.abc import Callable

import pytest

from service.tools.mcp import session
from telemetry import log
from tests.harness.matching import matches

session.load()


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[..., list[dict]]:
    """`lines(type=...)`: the typed lines told so far that have these values."""
    caplog.set_level(logging.DEBUG, logger="parley")

    def told(**wanted: object) -> list[dict]:
        found = [(record.line, record.levelno) for record in caplog.records if hasattr(record, "line")]
        said = [{"type": line.type, "level": log.level_name(level), **line.fields} for line, level in found]
        return [each for each in said if matches(each, wanted)]

    return told
