"""One thing the agent may do: what it is called, what it takes, who may use it, and how it is run.

Refuses a name that no model's API takes.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

from service.tools.foreign import Schema
from service.tools.schema import describe
from telemetry.record import Caller

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What the Messages API takes as a tool's name."""


BUILT_IN = "built_in"
"""The source of our own tools."""

SECONDS = 10.0


class Errand(Struct, frozen=True, kw_only=True):
    """What a tool is run for: who asked, in which turn, and which of its calls this is."""

    caller: Caller
    turn_id: str
    call_id: str


Run = Callable[[Any, Errand], Awaitable[str]]
"""Arguments, as the tool declares them, and the errand -> the text for the model; raises ToolFailed."""


class Tool(Struct, frozen=True, kw_only=True):
    """One thing the agent may do.

    Raises:
        ValueError: the name is none that a model can write, or the arguments have no closed, finite schema.

    Args:
        name: 1 to 64 letters, digits, `_` and `-`.
        description: What the model is told of it.
        arguments: A Struct that forbids unknown fields, or a schema that somebody else wrote.
        run: Takes one of these and the errand, and gives the text for the model; raises ToolFailed, with a
            sentence that is safe to tell, where the arguments have no answer.
        seconds: How long it may take; as one event loop runs all, a tool has to await what is slow.
        roles: Whose model may use it; None: everybody's.
        effects: Whether it changes anything outside of the turn.
        approval: Whether somebody has to say yes to each call.
        approvers: Roles of which one has to say it; none: the caller of the turn does.
        alone: Whether it may not run beside others of the same round; None: where it has effects.
        limit: Calls of one user within the window of limits; AGENT_RATE_LIMIT_TOOLS wins over it.
        remembered: Whether the conversation keeps what it gave, for later turns.
        source: Where it comes from: `built_in`, the name of a plug-in, or of an MCP server.
    """

    name: str
    description: str
    arguments: type[Struct] | Schema
    run: Run
    seconds: float = SECONDS
    roles: frozenset[str] | None = None
    effects: bool = False
    approval: bool = False
    approvers: frozenset[str] = frozenset()
    alone: bool | None = None
    limit: int | None = None
    remembered: bool = True
    source: str = BUILT_IN

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"A tool's name has 1 to 64 letters, digits, _ and -: {self.name!r}.")

    @property
    def runs_alone(self) -> bool:
        """Whether nothing else of the same round runs meanwhile."""
        return self.effects if self.alone is None else self.alone

    def open_to(self, role: str) -> bool:
        """Whether the model of somebody in this role may use it."""
        return self.roles is None or role in self.roles

    def definition(self) -> Mapping[str, Any]:
        """The tool as the Messages API takes it: name, description, input_schema."""
        takes = self.arguments
        return {
            "name": self.name,
            "description": self.description,
            "input_schema": takes.describe() if isinstance(takes, Schema) else describe(takes),
        }
