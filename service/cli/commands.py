"""The whole command line: which commands there are, and what keeps one from running.

Refuses to do anything itself: every command is a file of its own.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import version

from config import SettingsError
from service.cli import (
    audit,
    check,
    keys,
    limits,
    mcp,
    migrate,
    serve,
    settings,
    simulate,
    tools,
    trace,
    usage,
)
from service.cli.asking import option
from service.errors import InvalidRequest, ServiceError
from service.tools.installed import UnusableTool
from telemetry.providers import TelemetryError
from telemetry.sink import UnknownSink

COMMANDS = (serve, migrate, settings, check, keys, audit, usage, limits, trace, tools, mcp, simulate)
"""Each adds a parser and sets `run` to a function of the arguments that returns the exit status."""

WRONG_USE = 2


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; what keeps it from running is told on stderr, one problem a line."""
    given = parser().parse_args(arguments)
    try:
        return given.run(given)
    except SettingsError as error:
        return _refuse(error.problems)
    except (TelemetryError, UnknownSink, UnusableTool, OSError) as error:
        return _refuse((str(error),))
    except InvalidRequest as error:
        return _refuse([f"{option(each.field)}: {each.message}" for each in error.fields])
    except ServiceError as error:
        return _refuse((error.detail,))


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    root = argparse.ArgumentParser(
        prog="parley", description="A chat service for AI agents that leaves a record."
    )
    root.add_argument("--version", action="version", version=f"parley {version('parley')}")
    commands = root.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return root


def _refuse(problems: Sequence[str]) -> int:
    for problem in problems:
        sys.stderr.write(f"parley: {problem}\n")
    return WRONG_USE
