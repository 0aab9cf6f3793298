"""The MCP server itself: lists the questions, and answers each from the service.

Refuses to write anything but MCP on stdout; what it has to say besides goes to stderr.
"""

import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, cast

import msgspec
from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    TextContent,
    Tool,
    ToolAnnotations,
)

from config import Secret
from service.cli.mcp.asking import Asking, Refused
from service.cli.mcp.questions import QUESTIONS, Question
from service.tools.schema import describe

INSTRUCTIONS = (
    "Parley's audit: every turn of the agent, who asked it, and how it ended. What you see is what the key "
    "may see; each look at what somebody asked is recorded in the audit as well."
)
KNOWN: Mapping[str, Question] = {question.name: question for question in QUESTIONS}


async def serve(url: str, key: Secret) -> None:
    """Answer on stdin and stdout until stdin ends."""
    asking = Asking(url, key)
    server = build(asking)
    sys.stderr.write(f"parley: an MCP server on stdio, asking {url}\n")
    try:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())
    finally:
        await asking.close()


def build(asking: Asking) -> Server[Any]:
    """The server over a service."""

    async def listed(context: Any, params: Any) -> ListToolsResult:
        del context, params
        return ListToolsResult(tools=list(tools()))

    async def called(context: Any, params: CallToolRequestParams) -> CallToolResult:
        del context
        return await answer(asking, params.name, params.arguments or {})

    return Server(
        "parley",
        version=version("parley"),
        title="Parley's audit",
        instructions=INSTRUCTIONS,
        on_list_tools=listed,
        on_call_tool=called,
    )


def tools() -> Sequence[Tool]:
    """What there is to ask, as MCP tells it."""
    return [
        Tool(
            name=question.name,
            description=question.description,
            input_schema=describe(question.takes),
            annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
        )
        for question in QUESTIONS
    ]


async def answer(asking: Asking, name: str, arguments: Mapping[str, Any]) -> CallToolResult:
    """The service's answer to a question; an error of the tool where there is none."""
    question = KNOWN.get(name)
    if question is None:
        return _failed(f"There is no such tool. There are: {', '.join(KNOWN)}.")
    try:
        path, parameters = question.address(msgspec.convert(arguments, question.takes))
        told: Any = await asking.get(path, parameters)
    except msgspec.ValidationError as error:
        return _failed(f"The arguments do not fit: {error}.")
    except Refused as error:
        return _failed(str(error))
    text = msgspec.json.encode(told).decode()
    structured = cast("dict[str, Any]", told) if isinstance(told, dict) else None
    return CallToolResult(content=[TextContent(text=text)], structured_content=structured)


def _failed(words: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=words)], is_error=True)
