"""Events as server-sent frames: each with a running id from 1, and a comment for silence.

Refuses to write to anybody: it makes bytes, and the listener sends them.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from service.agent.events import ApprovalAsked, Began, Event, Text, Thought, ToolEnded, ToolStarted
from telemetry.timestamp import timestamp

MEDIA_TYPE = "text/event-stream"
TEXTS = {Text: "text", Thought: "thinking"}
COMMENT = b": still here\n\n"


class Frames:
    """Makes the frames of one stream, from after the one of this id."""

    def __init__(self, last: int = 0) -> None:
        self._last = last

    def frame(self, event: str, data: Mapping[str, Any]) -> bytes:
        """One frame; JSON has no line breaks, so its data is one line."""
        self._last += 1
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (self._last, event.encode(), msgspec.json.encode(data))

    def of(self, event: Event) -> bytes:
        """The frame of an event of the turn."""
        return self.frame(*told(event))


def told(event: Event) -> tuple[str, dict[str, Any]]:
    """An event's name and data, as the contract has them (section 2)."""
    match event:
        case Began(turn_id, conversation_id, model, trace_id):
            return "turn", {
                "id": turn_id,
                "conversationId": conversation_id,
                "model": model,
                "traceId": trace_id,
            }
        case Text(text) | Thought(text):
            return TEXTS[type(event)], {"text": text}
        case ToolStarted(call_id, name):
            return "tool", {"id": call_id, "name": name, "status": "started", "milliseconds": 0}
        case ToolEnded(call_id, name, outcome, milliseconds):
            said = {"id": call_id, "name": name, "status": outcome.value, "milliseconds": milliseconds}
            return "tool", said
        case ApprovalAsked(call_id, name, arguments, expires_at):
            until = timestamp(expires_at)
            return "approval", {"id": call_id, "name": name, "arguments": arguments, "expiresAt": until}
