"""What a conversation keeps of a turn: all that was said, but for what some tools gave.

Refuses to keep another person's records in the conversation of whoever looked at them: they would outlive an
erasure.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from service.agent.agent import Offered
from service.agent.hold import Message
from service.errors import ToolFailed

FORGOTTEN = "[What the tool gave is not kept. Call it again where it is needed.]"


def remembered(messages: Sequence[Message], tools: Offered) -> Sequence[Message]:
    """The messages of a turn, with a note in place of each result that is not to be kept."""
    forgotten = {call_id for call_id, name in _calls(messages) if not _kept(tools, name)}
    return [_without(message, forgotten) for message in messages] if forgotten else messages


def _calls(messages: Sequence[Message]) -> Iterator[tuple[str, str]]:
    for block in (block for message in messages for block in _blocks(message)):
        if block.get("type") == "tool_use":
            yield block["id"], block["name"]


def _kept(tools: Offered, name: str) -> bool:
    try:
        return tools.find(name).remembered
    except ToolFailed:
        return True


def _without(message: Message, forgotten: set[str]) -> Message:
    if not any(block.get("tool_use_id") in forgotten for block in _blocks(message)):
        return message
    noted = [
        {**block, "content": FORGOTTEN} if block.get("tool_use_id") in forgotten else block
        for block in _blocks(message)
    ]
    return {**message, "content": noted}


def _blocks(message: Message) -> Sequence[Mapping[str, Any]]:
    content = message["content"]
    return () if isinstance(content, str) else content
