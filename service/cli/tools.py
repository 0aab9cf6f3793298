"""parley tools: what tools the model may be offered, where each comes from, and who may use it.

Refuses to ask servers for theirs: what is shown is installed here.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from config import load
from config.settings import Settings
from service.cli.options import add_json
from service.cli.terminal import encoded
from service.tools import Registry, Tool
from service.tools.installed import installed, source_of
from service.tools.installed import load as load_tools

Row = dict[str, Any]


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print them; raises UnusableTool as the start of the service would."""
    settings = load().settings
    rows = rows_of(settings)
    lines = [encoded(rows)] if given.json else _lines(rows)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0


def rows_of(settings: Settings) -> Sequence[Row]:
    """One for each tool that is on, in order, then one for each entry point that is off."""
    registry = Registry(load_tools(settings), roles=settings.tools.roles)
    off = {name: point for name, point in installed().items() if name not in settings.tools.names}
    return [
        *(_on(tool, settings) for tool in registry.tools),
        *({"name": name, "on": False, "source": source_of(point)} for name, point in sorted(off.items())),
    ]


def _on(tool: Tool, settings: Settings) -> Row:
    return {
        "name": tool.name,
        "on": True,
        "source": tool.source,
        "roles": None if tool.roles is None else sorted(tool.roles),
        "effects": tool.effects,
        "approval": tool.approval,
        "limit": (settings.limits.tools or {}).get(tool.name, tool.limit),
        "seconds": tool.seconds,
    }


def _lines(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        yield f"{row['name']:24} {row['source']:12} {', '.join(_facts(row))}"


def _facts(row: Row) -> Iterator[str]:
    if not row["on"]:
        yield "off: AGENT_TOOLS does not name it"
        return
    yield "everybody" if row["roles"] is None else " ".join(row["roles"]) or "nobody"
    yield from (word for word in ("effects", "approval") if row[word])
    if row["limit"]:
        yield f"{row['limit']} calls a window"
    yield f"{row['seconds']:g} s"
