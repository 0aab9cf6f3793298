"""The tools that are installed, and those of them that are on: an entry point each, ours by the same door.

Refuses to start without one that is wanted: a model that lacks a tool answers all the same, only worse.
"""

from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from msgspec import structs

from config.settings import Settings
from service.tools.tool import BUILT_IN, Tool
from telemetry.failure import words_of

GROUP = "parley.tools"
NONE = ("none",)
OURS = "parley"

Factory = Callable[[Settings], Tool | Sequence[Tool]]
"""What an entry point may be, besides a Tool: makes one, or some, of the settings."""


class UnusableTool(Exception):
    """AGENT_TOOLS names a tool that nobody installed, or one that cannot be used."""


def load(settings: Settings) -> Sequence[Tool]:
    """The tools that AGENT_TOOLS names, in its order.

    Raises:
        UnusableTool: naming the one, and what is installed or what is wrong.
    """
    wanted = () if settings.tools.names == NONE else settings.tools.names
    there = installed()
    if missing := [name for name in wanted if name not in there]:
        raise UnusableTool(
            f"AGENT_TOOLS: no such tool: {', '.join(missing)}; installed: {', '.join(sorted(there))}"
        )
    return tuple(tool for name in wanted for tool in _made(there[name], settings))


def installed() -> dict[str, EntryPoint]:
    """Every tool that is installed, whether it is on or not."""
    return {point.name: point for point in entry_points(group=GROUP)}


def _made(point: EntryPoint, settings: Settings) -> Sequence[Tool]:
    try:
        tools = _tools_of(point.load(), settings)
        for tool in tools:
            tool.definition()
    except Exception as error:
        raise UnusableTool(f"AGENT_TOOLS: {point.name} cannot be used: {words_of(error)}") from error
    source = source_of(point)
    return tuple(structs.replace(tool, source=source) for tool in tools)


def source_of(point: EntryPoint) -> str:
    """Where a tool comes from: the package that brought it; `built_in` for ours."""
    package = point.dist.name if point.dist else point.name
    return BUILT_IN if package == OURS else package


def _tools_of(found: Any, settings: Settings) -> Sequence[Tool]:
    made = found if isinstance(found, Tool) or not callable(found) else found(settings)
    tools = (made,) if isinstance(made, Tool) else tuple(cast("Iterable[Any]", made))
    if strange := [type(each).__name__ for each in tools if not isinstance(each, Tool)]:
        raise TypeError(f"{strange[0]} is no Tool")
    return tools
