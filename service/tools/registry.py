"""The tools there are, and what of them a caller's model is offered.

Refuses two tools of one name.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from service.tools.offer import Offer
from service.tools.tool import Tool
from telemetry.record import Caller

Source = Callable[[], Sequence[Tool]]
"""Gives the tools that there are at the moment, as far as they come and go; never raises."""


class Registry:
    """The tools of one agent, in the order given; those of sources come after, and never replace one.

    Raises:
        ValueError: A name is given twice, or arguments have no closed, finite schema.
    """

    def __init__(self, tools: Iterable[Tool] = (), sources: Iterable[Source] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        self._sources = tuple(sources)
        for tool in tools:
            if tool.name in self._tools:
                raise ValueError(f"There are two tools named {tool.name!r}.")
            tool.definition()
            self._tools[tool.name] = tool

    def offered_to(self, caller: Caller) -> Offer:
        """What this caller's model is offered now; it stays so for a whole turn."""
        return Offer(self._now(), caller.role)

    def _now(self) -> Mapping[str, Tool]:
        come = {tool.name: tool for source in self._sources for tool in source()}
        return {**self._tools, **{name: tool for name, tool in come.items() if name not in self._tools}}
