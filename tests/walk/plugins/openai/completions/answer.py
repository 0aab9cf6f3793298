"""An answer as far as it has come: chunks of a Chat Completions stream folded into a Reply.

Refuses a stream that ends before it gives a reason to: a part is never taken for the whole.
"""

import json
from collections.abc import Mapping
from typing import Any

from service.agent.model import Answering, ContentBegan, Counted, Piece, Prompt, Reply, TextPiece, ToolUse
from service.errors import UpstreamError, UpstreamFailed
from telemetry.record import Usage, UsageSource

STOPPED = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
"""Why an answer stopped, in the Messages API's words."""
BYTES_A_TOKEN = 3
"""Of what is estimated, because an answer broke off or has not ended: rather too many tokens than too few."""


class Answer:
    """Grows by one chunk at a time; `status` and `request_id` are the provider's own."""

    def __init__(self, prompt: Prompt) -> None:
        self.request_id: str | None = None
        self.status: int | None = None
        self._prompt, self._begun, self._reported, self._heard = prompt, False, False, 0
        self._text: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}
        self._stop_reason: str | None = None

    def take(self, chunk: Mapping[str, Any]) -> list[Piece]:
        """Learn from one chunk; return what it tells a listener.

        Raises:
            ValueError, LookupError, TypeError, AttributeError: it cannot be one.
        """
        pieces: list[Piece] = [] if self._begun else self._begin(chunk)
        for choice in chunk["choices"]:
            pieces += self._grow(choice.get("delta") or {})
            if reason := choice.get("finish_reason"):
                self._stop_reason = STOPPED.get(reason, reason)
        if usage := chunk.get("usage"):
            pieces.append(self._count(usage))
        return pieces

    def reply(self) -> Reply:
        """The whole answer; raises UpstreamFailed where the stream ended before it did."""
        if not self._stop_reason:
            raise self.failed(UpstreamFailed, "The answer ended before it was complete.")
        text = "".join(self._text)
        uses = tuple(_use(call) for _, call in sorted(self._calls.items()))
        content = [{"type": "text", "text": text}] if text else []
        blocks = [_block(use) for use in uses]
        return Reply(
            content=[*content, *blocks],
            stop_reason=self._stop_reason,
            tool_uses=uses,
            request_id=self.request_id,
        )

    def failed(self, kind: type[UpstreamError], detail: str, **more: Any) -> UpstreamError:
        """An error that knows what the provider said before it."""
        return kind(detail, status=self.status, request_id=self.request_id, **more)

    def estimate(self) -> Counted | None:
        """What an answer that broke off took; None where that is known, or it never began."""
        return None if self._reported or not self._begun else self._estimated()

    def _begin(self, chunk: Mapping[str, Any]) -> list[Piece]:
        self._begun = True
        return [Answering(chunk["id"], chunk["model"]), self._estimated()]

    def _estimated(self) -> Counted:
        """The API counts at the end only."""
        prompt = self._prompt
        asked = len(json.dumps([prompt.system, *prompt.messages, *prompt.tools]))
        usage = Usage(input_tokens=_tokens(asked), output_tokens=min(prompt.max_tokens, _tokens(self._heard)))
        return Counted(usage, UsageSource.ESTIMATED)

    def _count(self, usage: Mapping[str, Any]) -> Counted:
        self._reported = True
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        told = Usage(
            input_tokens=usage["prompt_tokens"],
            output_tokens=usage["completion_tokens"],
            cache_read_tokens=cached,
        )
        return Counted(told)

    def _grow(self, delta: Mapping[str, Any]) -> list[Piece]:
        pieces: list[Piece] = []
        if text := delta.get("content") or delta.get("refusal"):
            pieces += [*([] if self._text else [ContentBegan()]), TextPiece(text)]
            self._text.append(text)
            self._heard += len(text.encode())
        for part in delta.get("tool_calls") or ():
            pieces += self._call(part)
        return pieces

    def _call(self, part: Mapping[str, Any]) -> list[Piece]:
        """A call comes in parts that name it by its index; the first has its id and name."""
        function, known = part["function"], part["index"] in self._calls
        call = self._calls.setdefault(part["index"], {"id": "", "name": "", "arguments": ""})
        call["id"] += part.get("id") or ""
        for name in ("name", "arguments"):
            call[name] += function.get(name) or ""
        self._heard += len(function.get("arguments") or "")
        return [] if known else [ContentBegan()]


def _use(call: Mapping[str, str]) -> ToolUse:
    try:
        arguments = json.loads(call["arguments"] or "{}")
    except (ValueError, RecursionError):
        arguments = None
    return ToolUse(call["id"], call["name"], arguments if isinstance(arguments, dict) else None)


def _block(use: ToolUse) -> dict[str, Any]:
    return {"type": "tool_use", "id": use.call_id, "name": use.name, "input": use.arguments or {}}


def _tokens(size: int) -> int:
    return -(-size // BYTES_A_TOKEN)
