"""An answer as far as it has come: the API's events folded into a Reply.

Refuses to judge content: unknown events are passed over, unknown blocks go back as they came, but for half
surrogate pairs, which JSON may name and UTF-8 has not, and for endless names and ids of tools. Refuses an
order of events that no answer has: a part of one is never taken for the whole.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec

from service.agent.model import Answering, ContentBegan, Piece, Reply, TextPiece, ThinkingPiece, ToolUse
from service.agent.upstream.tally import Tally
from service.errors import UpstreamError, UpstreamFailed
from telemetry.record import UsageSource

ANSWERED = 200
JSON = "input_json"
"""What a tool's input grows by; it is no part of its block."""
BOUNDS = (("id", 256), ("name", 128))
"""Characters that are kept of what a tool call is called, and of its tool."""


class Draft:
    """Grows by one event of the stream at a time; `status` and `request_id` are the provider's own."""

    def __init__(self, request_id: str | None = None, status: int | None = None) -> None:
        self.request_id, self.status = request_id, status
        self.whole = False
        self.tally = Tally()
        self._blocks: dict[int, dict[str, Any]] = {}
        self._grown: defaultdict[tuple[int, str], list[str]] = defaultdict(list)
        self._open: set[int] = set()
        self._stop_reason: str | None = None

    def take(self, event: Any) -> list[Piece]:
        """Learn from one event; return what it tells a listener.

        Raises:
            ValueError, LookupError, TypeError, AttributeError: it cannot be, or not after those before it.
        """
        take = self._takes.get(event["type"])
        return take(self, event) if take else []

    def reply(self) -> Reply:
        """The whole answer.

        Raises:
            UpstreamFailed: the stream ended before the answer did.
        """
        if not (self.whole and self._stop_reason) or self._open:
            raise self.failed(UpstreamFailed, "The answer ended before it was complete.")
        indices = sorted(self._blocks)
        content = tuple(self._block(index) for index in indices)
        pairs = zip(indices, content, strict=True)
        uses = tuple(self._use(index, block) for index, block in pairs if block["type"] == "tool_use")
        return Reply(
            content=content, stop_reason=self._stop_reason, tool_uses=uses, request_id=self.request_id
        )

    def failed(self, kind: type[UpstreamError], detail: str) -> UpstreamError:
        """An error that knows what the provider said before it."""
        return kind(detail, status=self.status, request_id=self.request_id)

    def _start(self, event: Any) -> list[Piece]:
        message = event["message"]
        _require(self.tally.source is UsageSource.NONE)
        return [
            Answering(_sound(message["id"]), _sound(message["model"])),
            self.tally.begins(message["usage"]),
        ]

    def _begin(self, event: Any) -> list[Piece]:
        index, block = event["index"], event["content_block"]
        _require(self._going and index not in self._blocks)
        self._blocks[index] = dict(block)
        self._open.add(index)
        text = block.get("text") or ""
        thought = block.get("thinking") or ""
        self.tally.heard(text + thought)
        return [ContentBegan(), *_text(text), *_thought(thought)]

    def _end(self, event: Any) -> list[Piece]:
        _require(self.tally.source is not UsageSource.NONE)
        self._stop_reason = _sound(event["delta"].get("stop_reason"))
        return [self.tally.ends(event["usage"])]

    @property
    def _going(self) -> bool:
        """Whether content may come."""
        return self.tally.source is not UsageSource.NONE and self._stop_reason is None

    def _stop(self, event: Any) -> list[Piece]:
        self._open.remove(event["index"])
        return []

    def _finish(self, _: Any) -> list[Piece]:
        self.whole = True
        return []

    def _grow(self, event: Any) -> list[Piece]:
        index, delta = event["index"], event["delta"]
        _require(self._going and index in self._open)
        block = self._blocks[index]
        match delta["type"]:
            case "text_delta":
                self._add(index, "text", delta["text"])
                return _text(delta["text"])
            case "thinking_delta":
                self._add(index, "thinking", delta["thinking"])
                return _thought(delta["thinking"])
            case "input_json_delta":
                self._add(index, JSON, delta["partial_json"])
            case "signature_delta":
                block["signature"] = delta["signature"]
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
            case _:
                pass
        return []

    def _add(self, index: int, name: str, text: str) -> None:
        """Pieces are joined once: an answer of a hundred thousand is not copied as often."""
        if name not in self._blocks[index]:
            _require(name == JSON)
        self.tally.heard(text)
        self._grown[index, name].append(text)

    def _joined(self, index: int, name: str) -> str:
        return "".join(self._grown.get((index, name), ()))

    def _use(self, index: int, block: Mapping[str, Any]) -> ToolUse:
        """A call by the same id and name as its block: the result has to name it."""
        unread = self._input(index) is None
        return ToolUse(block["id"], block["name"], None if unread else block["input"])

    def _block(self, index: int) -> dict[str, Any]:
        """A block as it is given back; an input that is no JSON object goes back as an empty one."""
        block = dict(self._blocks[index])
        for name in {"text", "thinking"} & block.keys():
            block[name] += self._joined(index, name)
        if (index, JSON) in self._grown:
            block["input"] = self._input(index) or {}
        return _bounded(_whole(block)) if block["type"] == "tool_use" else _whole(block)

    def _input(self, index: int) -> dict[str, Any] | None:
        """The input of a block: what was written piece by piece, else what it began with."""
        written = self._joined(index, JSON)
        return _object(written) if written else self._blocks[index].get("input")

    _takes: ClassVar[Mapping[str, Callable[..., list[Piece]]]] = {
        "message_start": _start,
        "content_block_start": _begin,
        "content_block_delta": _grow,
        "content_block_stop": _stop,
        "message_delta": _end,
        "message_stop": _finish,
    }


def _require(possible: bool) -> None:  # noqa: FBT001 - what is required is the argument
    if not possible:
        raise ValueError("The events contradict each other.")


def _text(text: str) -> list[Piece]:
    return [TextPiece(_sound(text))] if text else []


def _thought(text: str) -> list[Piece]:
    return [ThinkingPiece(_sound(text))] if text else []


def _sound(text: Any) -> Any:
    """Text that can be sent; what is no text, as it is."""
    if not isinstance(text, str) or text.isascii():
        return text
    return text.encode("utf-8", "replace").decode()


def _whole(block: dict[str, Any]) -> dict[str, Any]:
    """A block that can be sent; pairs of surrogates that the stream has parted are joined again."""
    if all(value is None or (isinstance(value, str) and value.isascii()) for value in block.values()):
        return block
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
