"""The tools that one caller's model is offered, from a turn's first word to its last; each is run here.

Refuses unknown names, what the caller's role may not use, arguments that do not fit, tools that take too
long, and endless results.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from service.errors import ToolBroken, ToolFailed, ToolForbidden, ToolUnknown
from service.tools.foreign import Schema, Unfit
from service.tools.tool import Errand, Tool

RESULT_CHARACTERS = 10_000
"""The longest result the model is given, the note about the cut included."""

PROBLEM_CHARACTERS = 200
"""The longest a problem with the arguments is told; it may name a field the model made up."""


class Offer:
    """Some tools by name, in the order given, of which a role may use some."""

    def __init__(self, tools: Mapping[str, Tool], role: str) -> None:
        self.tools, self._role = tools, role
        self._open = {name: tool for name, tool in tools.items() if tool.open_to(role)}
        self.definitions: Sequence[Mapping[str, Any]] = tuple(
            tool.definition() for tool in self._open.values()
        )

    def find(self, name: str) -> Tool:
        """A tool by name.

        Raises:
            ToolUnknown: There is none.
            ToolForbidden: There is, but it is not the caller's to use.
        """
        if name in self._open:
            return self._open[name]
        if name in self.tools:
            raise ToolForbidden(f"The tool {name} is not for this user's role.")
        raise ToolUnknown(f"There is no such tool. There are: {', '.join(self._open) or 'none'}.")

    def check(self, name: str, arguments: object) -> None:
        """Look whether a call can be run; raises ToolFailed as `run` would, before anything is done."""
        _decode(self.find(name), arguments)

    async def run(self, name: str, arguments: object, errand: Errand) -> str:
        """Run a tool by name and give its text, at most RESULT_CHARACTERS long.

        Args:
            name: As the model wrote it.
            arguments: As the model wrote them, decoded from JSON.
            errand: For whom, and within which turn.

        Raises:
            ToolFailed: There is no such tool, it may not be used, its arguments do not fit.
            ToolBroken: The tool failed by itself or took too long.
        """
        tool = self.find(name)
        try:
            return _cut(await _run_in_time(tool, _decode(tool, arguments), errand))
        except ToolFailed:
            raise
        except Exception as error:
            # Foreign words may hold paths, statements or secrets; they stay in the chain, for the log.
            raise ToolBroken(
                f"The tool {tool.name} failed by itself; other arguments may not help."
            ) from error


def _decode(tool: Tool, arguments: object) -> Struct | Mapping[str, Any]:
    """As the tool declares them: its Struct, or an object that fits its schema."""
    takes = tool.arguments
    try:
        return takes.decode(arguments) if isinstance(takes, Schema) else msgspec.convert(arguments, takes)
    except (msgspec.ValidationError, Unfit) as error:
        raise ToolFailed(f"The arguments of {tool.name} do not fit: {_tell(str(error))}.") from error


def _tell(problem: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in problem)
    return printable[:PROBLEM_CHARACTERS]


async def _run_in_time(tool: Tool, arguments: Struct | Mapping[str, Any], errand: Errand) -> str:
    deadline = asyncio.timeout(tool.seconds)
    try:
        async with deadline:
            return await tool.run(arguments, errand)
    except TimeoutError as error:
        if not deadline.expired():
            raise
        raise ToolBroken(f"The tool {tool.name} took longer than {tool.seconds:g} seconds.") from error


def _cut(result: str) -> str:
    # A lone surrogate cannot be sent: UTF-8 has none.
    text = result.encode("utf-8", "replace").decode("utf-8")
    if len(text) <= RESULT_CHARACTERS:
        return text
    note = f"\n[cut here; the whole result has {len(text)} characters]"
    return text[: RESULT_CHARACTERS - len(note)] + note
