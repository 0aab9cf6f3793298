"""What was said in a turn, as it is kept and as the model is told it again: pure, whole turns only.

Refuses to keep what no model takes back: blank text, and half a surrogate pair.
"""

from collections.abc import Mapping, Sequence
from itertools import dropwhile
from typing import Any

import msgspec

from service.agent.hold import Message
from service.agent.lengths import ENCODER
from service.errors import DatabaseError
from service.store.conversations import KeptTurn

TURNS = 500
"""Turns of a conversation that the model is told again, at most: the latest."""

THINKING = {"thinking", "redacted_thinking"}
"""Blocks that only the model that wrote them takes back."""


def encode(messages: Sequence[Message]) -> str:
    """JSON text of what was said; pairs of surrogates that a stream has parted are joined again."""
    said = [message for message in map(_fit, messages) if message["content"]]
    try:
        return msgspec.json.encode(said).decode()
    except UnicodeEncodeError:
        text = ENCODER.encode(said)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def decode(turn: KeptTurn) -> Sequence[dict[str, Any]]:
    """What was said in a turn.

    Raises:
        DatabaseError: it is not what `encode` wrote.
    """
    try:
        return msgspec.json.decode(turn.messages, type=list[dict[str, Any]])
    except msgspec.MsgspecError as error:
        raise DatabaseError("A turn in the database is damaged.") from error


def told_again(turns: Sequence[KeptTurn], model: str) -> Sequence[Message]:
    """What this model is told of earlier turns, in their order: from the first that a question begins."""
    messages = [message for turn in turns for message in _told(turn, model)]
    return list(dropwhile(lambda message: message["role"] != "user", messages))


def without_thinking(messages: Sequence[Message]) -> Sequence[Message]:
    """The same messages for another model than the one that wrote them."""
    return [each for each in map(_plain, messages) if each["content"]]


def text_of(message: Message) -> str:
    """The words of a message; none of one that only carries tools or their results."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content if block.get("type") == "text")


def tools_of(message: Message) -> Sequence[str]:
    """The tools that a message calls, by name."""
    content = message["content"]
    if isinstance(content, str):
        return ()
    return [str(block.get("name")) for block in content if block.get("type") == "tool_use"]


def _told(turn: KeptTurn, model: str) -> Sequence[Message]:
    messages = decode(turn)
    return messages if turn.model == model else without_thinking(messages)


def _fit(message: Message) -> Message:
    return _without(message, _blank)


def _plain(message: Message) -> Message:
    return _without(message, _thinking)


def _without(message: Message, unwanted: Any) -> Message:
    content = message["content"]
    if isinstance(content, str):
        return message
    return {**message, "content": [block for block in content if not unwanted(block)]}


def _blank(block: Mapping[str, Any]) -> bool:
    return block.get("type") == "text" and not block.get("text", "").strip()


def _thinking(block: Mapping[str, Any]) -> bool:
    return block.get("type") in THINKING
