"""The tools the model may call: their definitions for the model, and one way to run each.

Refuses unknown names, arguments that do not fit, tools that take too long, and endless results.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec
from msgspec import Struct

from service.errors import ToolBroken, ToolFailed, ToolUnknown
from service.tools.schema import describe

RESULT_CHARACTERS = 10_000
"""The longest result the model is given, the note about the cut included."""

PROBLEM_CHARACTERS = 200
"""The longest a problem with the arguments is told; it may name a field the model made up."""

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What the Messages API takes as a tool's name."""


class Tool(Struct, frozen=True, kw_only=True):
    """One thing the agent may do.

    `arguments` is a Struct that forbids unknown fields. `run` takes one and gives the text for the model; it
    raises ToolFailed, with a sentence that is safe to tell, where the arguments have no answer. `seconds` is
    how long it may take; as one event loop runs all, a tool has to await what is slow.
    """

    name: str
    description: str
    arguments: type[Struct]
    run: Callable[[Any], Awaitable[str]]
    seconds: float = 10.0


class Registry:
    """The tools of one agent, by name, in the order given.

    Raises:
        ValueError: A name is given twice or is none, or arguments have no closed, finite schema.
    """

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            self._add(tool)
        self._definitions = tuple(_define(tool) for tool in self._tools.values())

    @property
    def definitions(self) -> tuple[dict[str, Any], ...]:
        """The tools as the Messages API takes them: name, description, input_schema."""
        return self._definitions

    async def run(self, name: str, arguments: object) -> str:
        """Run a tool by name and give its text, at most RESULT_CHARACTERS long.

        Args:
            name: As the model wrote it.
            arguments: As the model wrote them, decoded from JSON.

        Raises:
            ToolFailed: There is no such tool, the arguments do not fit, or have no answer.
            ToolBroken: The tool failed by itself or took too long.
        """
        tool = self._find(name)
        try:
            return _cut(await _run_in_time(tool, _decode(tool, arguments)))
        except ToolFailed:
            raise
        except Exception as error:
            # Foreign words may hold paths, statements or secrets; they stay in the chain, for the log.
            raise ToolBroken(
                f"The tool {tool.name} failed by itself; other arguments may not help."
            ) from error

    def _add(self, tool: Tool) -> None:
        if not NAME.fullmatch(tool.name):
            raise ValueError(f"A tool's name has 1 to 64 letters, digits, _ and -: {tool.name!r}.")
        if tool.name in self._tools:
            raise ValueError(f"There are two tools named {tool.name!r}.")
        self._tools[tool.name] = tool

    def _find(self, name: str) -> Tool:
        if name not in self._tools:
            raise ToolUnknown(f"There is no such tool. There are: {', '.join(self._tools) or 'none'}.")
        return self._tools[name]


def _define(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "input_schema": describe(tool.arguments),
    }


def _decode(tool: Tool, arguments: object) -> Struct:
    try:
        return msgspec.convert(arguments, tool.arguments)
    except msgspec.ValidationError as error:
        raise ToolFailed(f"The arguments of {tool.name} do not fit: {_tell(str(error))}.") from error


def _tell(problem: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in problem)
    return printable[:PROBLEM_CHARACTERS]


async def _run_in_time(tool: Tool, arguments: Struct) -> str:
    deadline = asyncio.timeout(tool.seconds)
    try:
        async with deadline:
            return await tool.run(arguments)
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
