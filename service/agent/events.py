"""What a listener hears while a turn runs, in order.

Refuses to say how the turn ended: that is the record's to say.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from telemetry.record import ToolOutcome


class Began(Struct, frozen=True):
    """The model's first content is here; from now on failures are events."""

    turn_id: str
    conversation_id: str
    model: str
    trace_id: str


class Text(Struct, frozen=True):
    """A piece of the answer."""

    text: str


class Thought(Struct, frozen=True):
    """A piece of what the model thinks, for those who asked for it: no part of the answer."""

    text: str


class ToolStarted(Struct, frozen=True):
    """A tool is about to run."""

    call_id: str
    name: str


class ToolEnded(Struct, frozen=True):
    """A tool is done, well or not."""

    call_id: str
    name: str
    outcome: ToolOutcome
    milliseconds: int


class ApprovalAsked(Struct, frozen=True):
    """A tool is run only once somebody says yes; `expires_at` is microseconds since 1970 (UTC)."""

    call_id: str
    name: str
    arguments: Mapping[str, Any]
    expires_at: int


Event = Began | Text | Thought | ToolStarted | ToolEnded | ApprovalAsked
