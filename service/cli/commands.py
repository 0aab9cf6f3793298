"""The whole command line: which commands there are, and what keeps one from running.

Refuses to do anything itself: every command is a file of its own, which is loaded when it is asked for.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from service.cli.parser import Filled, Parser

COMMANDS: Mapping[str, Filled] = {
    "serve": ("run the service", "service.cli.serve:add"),
    "migrate": ("bring the database to this version's form", "service.cli.migrate:add"),
    "settings": ("print every setting, its value and where that came from", "service.cli.settings:add"),
    "check": ("say whether the service could start and reach what it needs", "service.cli.check:add"),
    "keys": ("make, list, rotate and revoke API keys", "service.cli.keys:add"),
    "tokens": ("make sessions and tokens hold no longer", "service.cli.tokens:add"),
    "audit": ("look at the audit", "service.cli.audit:add"),
    "usage": ("add up turns, tokens and cost", "service.cli.usage:add"),
    "limits": (
        "say which limits hold and how somebody stands, begin anew, propose numbers",
        "service.cli.limits:add",
    ),
    "trace": ("tell one query's life", "service.cli.trace:add"),
    "tools": (
        "print the tools that are on, where each comes from and who may use it, and those that are off",
        "service.cli.tools:add",
    ),
    "mcp": ("let an assistant ask the audit, over MCP", "service.cli.mcp:add"),
    "simulate": ("run the model simulator alone, on a loopback port", "service.cli.simulate:add"),
}
"""What each adds sets `run` to a function of the arguments that returns the exit status."""

WRONG_USE = 2


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; what keeps it from running is told on stderr, one problem a line."""
    given = parser().parse_args(arguments)
    try:
        return given.run(given)
    except Exception as error:
        from service.cli.refusals import problems_of  # noqa: PLC0415 - loads what may fail, once it has

        problems = problems_of(error)
        if problems is None:
            raise
        sys.stderr.writelines(f"parley: {problem}\n" for problem in problems)
        return WRONG_USE


def parser() -> Parser:
    """The whole command line."""
    root = Parser(prog="parley", description="A chat service for AI agents that leaves a record.")
    root.add_argument("--version", action=Version, help="show program's version number and exit")
    root.branch("COMMAND", COMMANDS)
    return root


class Version(argparse.Action):
    """Says the version that is installed, which is looked up when it is asked for."""

    def __init__(self, **given: Any) -> None:
        super().__init__(nargs=0, **given)

    def __call__(self, parser: argparse.ArgumentParser, *given: Any) -> None:
        """Say it and exit."""
        del given
        from importlib.metadata import version  # noqa: PLC0415 - takes longer than the whole of --help

        sys.stdout.write(f"parley {version('parley')}\n")
        parser.exit()
