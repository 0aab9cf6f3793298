"""The tools there are, and what of them a caller's model is offered.

Refuses two tools of one name.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import is_

from msgspec import structs

from service.tools.offer import Offer
from service.tools.tool import Tool
from telemetry.record import Caller

Source = Callable[[], Sequence[Tool]]
"""Gives the tools that there are at the moment, as far as they come and go; never raises."""


MOST_OFFERS = 64
"""Roles whose last offer is kept."""


class Registry:
    """The tools of one agent, in the order given; those of sources come after, and never replace one.

    `roles` are the only ones whose model may use a tool it names, as far as the tool is for them.

    Raises:
        ValueError: A name is given twice, or arguments have no closed, finite schema.
    """

    def __init__(
        self,
        tools: Iterable[Tool] = (),
        sources: Iterable[Source] = (),
        roles: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        self._tools: dict[str, Tool] = {}
        self._sources = tuple(sources)
        self._offers: dict[str, Offer] = {}
        self._roles = {name: frozenset(some) for name, some in (roles or {}).items()}
        self._narrow: dict[str, tuple[Tool, Tool]] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise ValueError(f"There are two tools named {tool.name!r}.")
            tool.definition()
            self._tools[tool.name] = self._narrowed(tool)

    def offered_to(self, caller: Caller) -> Offer:
        """What this caller's model is offered now; it stays so for a whole turn.

        The same as the one before where nothing came or went: what is measured of it is known then.
        """
        tools, known = self._now(), self._offers.get(caller.role)
        if known is None or not _same(known.tools, tools):
            if len(self._offers) >= MOST_OFFERS:
                self._offers.clear()
            known = self._offers[caller.role] = Offer(tools, caller.role)
        return known

    @property
    def tools(self) -> Sequence[Tool]:
        """All there are now, whoever may use them."""
        return tuple(self._now().values())

    def _now(self) -> Mapping[str, Tool]:
        come = {tool.name: self._narrowed(tool) for source in self._sources for tool in source()}
        return {**self._tools, **{name: tool for name, tool in come.items() if name not in self._tools}}

    def _narrowed(self, tool: Tool) -> Tool:
        if (only := self._roles.get(tool.name)) is None:
            return tool
        known = self._narrow.get(tool.name)
        if known is None or known[0] is not tool:
            roles = only if tool.roles is None else only & tool.roles
            known = self._narrow[tool.name] = tool, structs.replace(tool, roles=roles)
        return known[1]


def _same(some: Mapping[str, Tool], others: Mapping[str, Tool]) -> bool:
    """Whether they are the very same tools in the same order."""
    return len(some) == len(others) and all(map(is_, some.values(), others.values()))
