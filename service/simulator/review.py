"""What the Messages API checks about a request whose shape is right.

Refuses with HTTP 400 and the name of the field, at the first thing that is wrong.
"""

import re
from collections.abc import Iterator
from itertools import groupby, takewhile
from typing import Any, cast

from service.simulator.error import ApiError
from service.simulator.messages import NEEDED, Block, Count, Message, Question, Tool, schema_of
from service.simulator.thinking import review_thinking

Placed = tuple[str, Block]
"""A content block with its place in the request, such as `messages.2.content.0`."""

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_HOMES = {"tool_use": "assistant", "tool_result": "user"}


def review(request: Count) -> None:
    """Check a request as the API does.

    Raises:
        ApiError: 400, naming the field.
    """
    if not request.model:
        raise ApiError(400, "model: String should have at least 1 character")
    if isinstance(request, Question) and request.max_tokens < 0:
        raise ApiError(400, "max_tokens: Input should be greater than or equal to 0")
    _review_system(request)
    _review_order(request.messages)
    for index, message in enumerate(request.messages):
        _review_message(f"messages.{index}", message)
    _review_pairs(request.messages)
    _review_tools(request)
    review_thinking(request)
    _review_schema("output_config.format.schema", schema_of(request))


def _review_schema(place: str, part: Any) -> None:
    """Every object in it has to be closed, as the API says it."""
    if isinstance(part, dict):
        fields = cast("dict[str, Any]", part)
        if fields.get("type") == "object" and fields.get("additionalProperties") is not False:
            said = "For 'object' type, 'additionalProperties' must be explicitly set to false"
            raise ApiError(400, f"{place}: {said}")
        for name, inner in fields.items():
            _review_schema(f"{place}.{name}", inner)
    elif isinstance(part, list):
        for inner in cast("list[Any]", part):
            _review_schema(place, inner)


def _review_system(request: Count) -> None:
    if isinstance(request.system, list):
        for index, block in enumerate(request.system):
            if block.type != "text" or block.text is None:
                raise ApiError(400, f"system.{index}: Input should be a text block with `text`")


def _review_order(messages: list[Message]) -> None:
    if not messages:
        raise ApiError(400, "messages: at least one message is required")
    for index, message in enumerate(messages):
        if message.role not in {"user", "assistant", "system"}:
            raise ApiError(400, f"messages.{index}.role: Input should be 'user', 'assistant' or 'system'")
    if messages[0].role != "user":
        raise ApiError(400, 'messages: first message must use the "user" role')
    if messages[-1].role == "assistant":
        prefill = "This model does not support assistant message prefill."
        raise ApiError(400, f"messages: {prefill} The conversation must end with a user message.")


def _review_message(place: str, message: Message) -> None:
    if not message.content:
        raise ApiError(400, f"{place}: all messages must have non-empty content")
    for spot, block in _spots(place, message):
        _review_block(spot, block, message.role)


def _review_block(spot: str, block: Block, role: str) -> None:
    if block.type not in NEEDED:
        tags = ", ".join(f"'{name}'" for name in NEEDED)
        raise ApiError(
            400, f"{spot}: Input tag '{block.type}' does not match any of the expected tags: {tags}"
        )
    for field in NEEDED[block.type]:
        if getattr(block, field) is None:
            raise ApiError(400, f"{spot}.{block.type}.{field}: Field required")
    if block.type == "text" and not (block.text or "").strip():
        raise ApiError(400, f"{spot}: text content blocks must be non-empty and contain non-whitespace text")
    if _HOMES.get(block.type, role) != role:
        home = _HOMES[block.type]
        raise ApiError(400, f"{spot}: `{block.type}` blocks can only be in `{home}` messages")


def _review_pairs(messages: list[Message]) -> None:
    """Each tool_use must be answered at the head of the next message, and by nothing else.

    Neighbours of one role count as one message, as they do for the API.
    """
    asked: list[str] = []
    asked_at, known = "", set[str]()
    for role, place, placed in _merged(messages):
        answered = [spot for spot in takewhile(_is_result, placed) if role == "user"]
        _review_answers(asked, asked_at, answered)
        _review_strays(asked, placed)
        asked = [block.id or "" for _, block in placed if block.type == "tool_use"]
        if len({*asked, *known}) < len(asked) + len(known):
            raise ApiError(400, f"{place}: `tool_use` ids must be unique")
        asked_at, known = place, {*known, *asked}


def _review_answers(asked: list[str], asked_at: str, answered: list[Placed]) -> None:
    missing = [name for name in asked if name not in {block.tool_use_id for _, block in answered}]
    if missing:
        raise ApiError(
            400,
            f"{asked_at}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block "
            "in the next message.",
        )


def _review_strays(asked: list[str], placed: list[Placed]) -> None:
    open_ids = set(asked)
    for spot, block in placed:
        if block.type != "tool_result":
            continue
        if block.tool_use_id not in open_ids:
            raise ApiError(
                400,
                f"{spot}: unexpected `tool_use_id` found in `tool_result` blocks: {block.tool_use_id}. Each "
                "`tool_result` block must have a corresponding `tool_use` block in the previous message.",
            )
        open_ids.discard(block.tool_use_id)


def _merged(messages: list[Message]) -> Iterator[tuple[str, str, list[Placed]]]:
    for role, run in groupby(enumerate(messages), key=lambda entry: entry[1].role):
        entries = list(run)
        placed = [spot for index, message in entries for spot in _spots(f"messages.{index}", message)]
        yield role, f"messages.{entries[-1][0]}", placed


def _spots(place: str, message: Message) -> Iterator[Placed]:
    return ((f"{place}.content.{index}", block) for index, block in enumerate(message.blocks))


def _is_result(placed: Placed) -> bool:
    return placed[1].type == "tool_result"


def _review_tools(request: Count) -> None:
    for index, tool in enumerate(request.tools):
        _review_tool(f"tools.{index}.custom" if tool.custom else f"tools.{index}", tool)
    names = {tool.name for tool in request.tools}
    if len(names) < len(request.tools):
        raise ApiError(400, "tools: Tool names must be unique.")
    choice = request.tool_choice
    if choice.type not in {"auto", "any", "tool", "none"}:
        raise ApiError(400, "tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'")
    if choice.type == "tool" and choice.name not in names:
        raise ApiError(400, f"tool_choice.name: Tool '{choice.name}' not found in provided tools")
    if choice.type == "any" and not names:
        raise ApiError(400, "tool_choice: may only be specified while providing tools")


def _review_tool(place: str, tool: Tool) -> None:
    if not _TOOL_NAME.fullmatch(tool.name):
        raise ApiError(400, f"{place}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
    if not tool.custom:
        return
    if tool.input_schema is None:
        raise ApiError(400, f"{place}.input_schema: Field required")
    if tool.input_schema.get("type") != "object":
        raise ApiError(400, f"{place}.input_schema.type: Input should be 'object'")
