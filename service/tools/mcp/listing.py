"""What a server says of its tools, made into tools of ours: named after it, looked through, bounded.

Refuses names that no model could write, schemas that cannot be used and the words of a stranger beyond a
length: each by itself, so that one bad tool costs the others nothing.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import Struct

from service.tools.foreign import Unfit, read
from service.tools.mcp.file import Override, Server
from service.tools.tool import NAME, Errand, Tool

if TYPE_CHECKING:
    from mcp.types import Tool as Foreign

DESCRIPTION = 2_000
TOOLS = 128
"""Tools of one server that are offered: each is told to the model with every question, and costs."""

DEFINITIONS = 262_144
"""Bytes of all definitions of one server together, for the same reason."""

READ = 1_000
"""Tools of one page that are looked at at all."""

BETWEEN = "__"
WORDS = frozenset({"description", "title"})

Call = Callable[[str, Any, Errand], Awaitable[str]]
"""A tool's name as its server has it, the arguments and the errand -> the text."""

Refused = tuple[str, str]
"""A tool's name, and why it is none."""


class Listed(Struct, frozen=True):
    """A server's own list: tools by its own words, and what of it were none."""

    tools: "tuple[Foreign, ...]"
    refused: tuple[Refused, ...] = ()


class Taken(Struct, frozen=True):
    """What of a list may be used, and what not, and why."""

    tools: tuple[Tool, ...] = ()
    refused: tuple[Refused, ...] = ()


def sift(result: dict[str, Any]) -> list[Refused]:
    """Take out of a list what is no tool at all, before it makes the whole list none; returns what went."""
    given: Any = result.get("tools")
    if not isinstance(given, list):
        return []
    tools = cast("list[Any]", given)
    wrong = [(_name_of(tool), why) for tool in tools[:READ] if (why := _why_not(tool))]
    if len(tools) > READ:
        wrong.append(("…", f"{len(tools) - READ} more than the {READ} of a page that are looked at"))
    result["tools"] = [tool for tool in tools[:READ] if not _why_not(tool)]
    return wrong


def _why_not(tool: Any) -> str | None:
    said: Mapping[str, Any] = cast("Mapping[str, Any]", tool) if isinstance(tool, dict) else {}
    name, schema = said.get("name"), said.get("inputSchema")
    if not isinstance(name, str):
        return "it has no name"
    if not isinstance(schema, dict) or cast("Mapping[str, Any]", schema).get("type") != "object":
        return "the schema is not of an object"
    return None


def _name_of(tool: Any) -> str:
    name: Any = cast("Mapping[str, Any]", tool).get("name") if isinstance(tool, dict) else None
    return printable(name, 64) if isinstance(name, str) else "?"


def take(server: Server, listed: Listed, call: Call) -> Taken:
    """Make tools of what a server lists, in its order; the first of two of one name."""
    tools: dict[str, Tool] = {}
    refused, room = list(listed.refused), DEFINITIONS
    for each in listed.tools:
        if server.tools is not None and each.name not in server.tools:
            continue
        try:
            tool = _tool(server, each, call)
            room = _room(tool, tools, room)
            tools[tool.name] = tool
        except ValueError as error:  # Unfit is one
            refused.append((printable(each.name, 64), str(error)))
    return Taken(tools=tuple(tools.values()), refused=tuple(refused))


def _room(tool: Tool, others: Mapping[str, Tool], room: int) -> int:
    """The room that is left once this one is taken."""
    if tool.name in others:
        raise Unfit("another tool has the same name")
    if len(others) >= TOOLS:
        raise Unfit(f"its server has more than {TOOLS} tools")
    left = room - len(msgspec.json.encode(tool.definition()))
    if left < 0:
        raise Unfit(f"the tools of its server are larger than {DEFINITIONS} bytes together")
    return left


def _tool(server: Server, foreign: "Foreign", call: Call) -> Tool:
    name = f"{server.name}{BETWEEN}{foreign.name}"
    if not NAME.fullmatch(name):
        raise Unfit("the name has other characters than letters, digits, _ and -, or is too long")
    said = server.overrides.get(foreign.name, Override())
    reads = _reads(foreign)
    default = server.approval if server.approval is not None else not reads
    return Tool(
        name=name,
        description=printable(foreign.description or foreign.title or "", DESCRIPTION),
        arguments=read(_clean(foreign.input_schema)),
        run=partial(call, foreign.name),
        seconds=said.seconds or server.seconds,
        roles=said.roles if said.roles is not None else server.roles,
        effects=said.effects if said.effects is not None else not reads,
        approval=said.approval if said.approval is not None else default,
        limit=said.limit,
        source=server.name,
    )


def _reads(foreign: "Foreign") -> bool:
    """Whether it says that it only reads; silence says no, and so does who says both."""
    hints = foreign.annotations
    return bool(hints and hints.read_only_hint and not hints.destructive_hint)


def _clean(part: Any) -> Any:
    """A schema whose words for people are printable, as the description is."""
    if isinstance(part, list):
        return [_clean(each) for each in cast("list[Any]", part)]
    if not isinstance(part, dict):
        return part
    return {
        name: printable(each, DESCRIPTION) if name in WORDS and isinstance(each, str) else _clean(each)
        for name, each in cast("dict[str, Any]", part).items()
    }


def printable(text: str, length: int) -> str:
    """A stranger's words without characters that move a cursor or hide others, lines kept, up to a length."""
    clean = "".join(each if each.isprintable() or each == "\n" else " " for each in text[: length + 1])
    return clean if len(clean) <= length else clean[: length - 1] + "…"


def differences(before: Sequence[Tool], after: Sequence[Tool]) -> Mapping[str, Sequence[str]]:
    """What changed from one list to the next: the names that came, went, and are described otherwise."""
    old = {tool.name: tool.definition() for tool in before}
    new = {tool.name: tool.definition() for tool in after}
    return {
        "added": [name for name in new if name not in old],
        "removed": [name for name in old if name not in new],
        "changed": [name for name in new if name in old and new[name] != old[name]],
    }
