"""An answer as far as it has come: the API's events folded into a Reply.

Refuses to judge content: unknown events are passed over, unknown blocks go back as they came, but for half
surrogate pairs, which JSON may name and UTF-8 has not, and for endless names and ids of tools.
"""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from service.agent.model import Answering, ContentBegan, Counted, Piece, Reply, TextPiece, ToolUse
from service.errors import UpstreamFailed
from telemetry.record import Usage

ANSWERED = 200
EPHEMERAL_1H = "ephemeral_1h_input_tokens"
BOUNDS = (("id", 256), ("name", 128))
"""Characters that are kept of what a tool call is called, and of its tool."""


class Draft:
    """Grows by one event of the stream at a time; `request_id` is the provider's own."""

    def __init__(self, request_id: str | None) -> None:
        self.request_id = request_id
        self._blocks: dict[int, dict[str, Any]] = {}
        self._written: dict[int, str] = {}
        self._usage: dict[str, Any] = {}
        self._stop_reason: str | None = None
        self._whole = False

    def take(self, event: Any) -> list[Piece]:
        """Learn from one event; return what it tells a listener."""
        match event.type:
            case "message_start":
                message = event.message
                return [Answering(_sound(message.id), _sound(message.model)), self._count(message.usage)]
            case "content_block_start":
                # "json" would raise over half a surrogate pair, which is mended where the block leaves
                self._blocks[event.index] = event.content_block.to_dict(mode="python")
                return [ContentBegan(), *_text(getattr(event.content_block, "text", ""))]
            case "content_block_delta":
                return self._grow(event.index, event.delta)
            case "message_delta":
                self._stop_reason = _sound(event.delta.stop_reason)
                return [self._count(event.usage)]
            case "message_stop":
                self._whole = True
            case _:
                pass
        return []

    def reply(self) -> Reply:
        """The whole answer.

        Raises:
            UpstreamFailed: the stream ended before the answer did.
        """
        if not (self._whole and self._stop_reason):
            raise UpstreamFailed(
                "The answer ended before it was complete.", status=ANSWERED, request_id=self.request_id
            )
        indices = sorted(self._blocks)
        content = tuple(self._block(index) for index in indices)
        pairs = zip(indices, content, strict=True)
        uses = tuple(self._use(index, block) for index, block in pairs if block["type"] == "tool_use")
        return Reply(
            content=content, stop_reason=self._stop_reason, tool_uses=uses, request_id=self.request_id
        )

    def _grow(self, index: int, delta: Any) -> list[Piece]:
        block = self._blocks[index]
        match delta.type:
            case "text_delta":
                block["text"] += delta.text
                return _text(delta.text)
            case "input_json_delta":
                self._written[index] = self._written.get(index, "") + delta.partial_json
            case "thinking_delta":
                block["thinking"] += delta.thinking
            case "signature_delta":
                block["signature"] = delta.signature
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or ()), delta.citation.to_dict(mode="python")]
            case _:
                pass
        return []

    def _use(self, index: int, block: Mapping[str, Any]) -> ToolUse:
        """A call by the same id and name as its block: the result has to name it."""
        unread = self._input(index) is None
        return ToolUse(block["id"], block["name"], None if unread else block["input"])

    def _block(self, index: int) -> dict[str, Any]:
        """A block as it is given back; an input that is no JSON object goes back as an empty one."""
        block = self._blocks[index]
        if index in self._written:
            block = block | {"input": self._input(index) or {}}
        return _bounded(_whole(block)) if block["type"] == "tool_use" else _whole(block)

    def _input(self, index: int) -> dict[str, Any] | None:
        """The input of a block: what was written piece by piece, else what it began with."""
        written = self._written.get(index)
        return _object(written) if written else self._blocks[index].get("input")

    def _count(self, usage: Any) -> Counted:
        """Set what the provider reports, never add: a later report is cumulative."""
        self._usage |= {key: value for key, value in usage.to_dict(mode="json").items() if value is not None}
        return Counted(_usage(self._usage))


def _text(text: str) -> list[Piece]:
    return [TextPiece(_sound(text))] if text else []


def _sound(text: Any) -> Any:
    """Text that can be sent; what is no text, as it is."""
    return text.encode("utf-8", "replace").decode() if isinstance(text, str) else text


def _whole(block: dict[str, Any]) -> dict[str, Any]:
    """A block that can be sent; pairs of surrogates that the stream has parted are joined again."""
    try:
        text = json.dumps(block, ensure_ascii=False).encode("utf-16", "surrogatepass")
        return json.loads(text.decode("utf-16", "replace"))
    except RecursionError as error:
        raise UpstreamFailed("The answer is nested too deeply.", status=ANSWERED) from error


def _bounded(block: dict[str, Any]) -> dict[str, Any]:
    return block | {key: str(block[key])[:most] for key, most in BOUNDS}


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType] - JSON


def _usage(reported: Mapping[str, Any]) -> Usage:
    """Count cached tokens as input, as the GenAI conventions say; the API reports them beside it."""
    read = reported.get("cache_read_input_tokens", 0)
    written = reported.get("cache_creation_input_tokens", 0)
    split: Mapping[str, int] = reported.get("cache_creation") or {}
    return Usage(
        input_tokens=reported.get("input_tokens", 0) + read + written,
        output_tokens=reported.get("output_tokens", 0),
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=split.get(EPHEMERAL_1H, 0),
    )
