"""An answer as far as it has come: the API's events folded into a Reply.

Refuses to judge content: unknown events are passed over, unknown blocks go back as they came.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from service.agent.model import Answering, ContentBegan, Counted, Piece, Reply, TextPiece, ToolUse
from service.errors import UpstreamFailed
from telemetry.record import Usage

ANSWERED = 200
EPHEMERAL_1H = "ephemeral_1h_input_tokens"


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
                return [Answering(event.message.id, event.message.model), self._count(event.message.usage)]
            case "content_block_start":
                self._blocks[event.index] = event.content_block.to_dict(mode="json")
                return [ContentBegan(), *_text(getattr(event.content_block, "text", ""))]
            case "content_block_delta":
                return self._grow(event.index, event.delta)
            case "message_delta":
                self._stop_reason = event.delta.stop_reason
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
        uses = tuple(self._use(index) for index in indices if self._blocks[index]["type"] == "tool_use")
        content = tuple(self._block(index) for index in indices)
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
                block["citations"] = [*(block.get("citations") or ()), delta.citation.to_dict(mode="json")]
            case _:
                pass
        return []

    def _use(self, index: int) -> ToolUse:
        block = self._blocks[index]
        return ToolUse(block["id"], block["name"], self._input(index))

    def _block(self, index: int) -> dict[str, Any]:
        """A block as it is given back; an input that is no JSON object goes back as an empty one."""
        block = self._blocks[index]
        return block | {"input": self._input(index) or {}} if index in self._written else block

    def _input(self, index: int) -> dict[str, Any] | None:
        """The input of a block: what was written piece by piece, else what it began with."""
        written = self._written.get(index)
        return _object(written) if written else self._blocks[index].get("input")

    def _count(self, usage: Any) -> Counted:
        """Set what the provider reports, never add: a later report is cumulative."""
        self._usage |= {key: value for key, value in usage.to_dict(mode="json").items() if value is not None}
        return Counted(_usage(self._usage))


def _text(text: str) -> list[Piece]:
    """A piece that can be sent: JSON may name half a surrogate pair, UTF-8 has none."""
    return [TextPiece(text.encode("utf-8", "replace").decode())] if text else []


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
