"""Commands run in this process, in a directory and an environment of their own.

Refuses the environment of whoever runs the tests: none of its settings counts.
"""

import os
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Struct

from service.cli import run


class Said(Struct, frozen=True):
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


@pytest.fixture
def parley(tmp_path, monkeypatch, capsys) -> Callable[..., Said]:
    """Run a command: `parley("keys", "list", AGENT_PORT="1")`."""
    for name in [
        name for name in os.environ if name.startswith(("AGENT_", "ANTHROPIC_", "OTEL_", "DATABASE_", "LOG_"))
    ]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str, **settings: Any) -> Said:
        capsys.readouterr()
        with monkeypatch.context() as patched:
            for name, value in settings.items():
                patched.setenv(name, str(value))
            try:
                status = run(arguments)
            except SystemExit as ended:  # argparse ends by itself
                status = ended.code
        told = capsys.readouterr()
        return Said(status, told.out, told.err)

    return command
