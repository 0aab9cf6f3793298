"""parley: the commands. Exit 0 fine, 1 the answer is no, 2 wrong use or nothing to work on.

Refuses to load them before one is asked for: a process that verifies a log beside us loads this too.
"""

import sys
from collections.abc import Sequence
from importlib import import_module


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its status."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; what keeps it from running is told on stderr, one problem a line."""
    return import_module("service.cli.commands").run(arguments)
