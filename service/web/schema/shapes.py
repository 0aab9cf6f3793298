"""What is told in JSON and is no struct elsewhere: answers, stream events, problems, an event's metadata.

Refuses to serve anything: these exist to be described; tests hold them against what is really sent.
"""

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from telemetry.failure import Category, Code, Fault
from telemetry.record import Outcome


class Tokens(Struct, frozen=True, kw_only=True, rename="camel"):
    """Tokens of all model calls of a turn; `inputTokens` includes cached ones."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int


class DoneEvent(Struct, frozen=True, kw_only=True, rename="camel"):
    """The last event of an answer that is whole; `cost` is US dollars.

    `structured` is there where the request had a `responseFormat`: the text as JSON, held against its schema.
    """

    id: str
    conversation_id: str
    model: str
    stop_reason: str | None
    tools_called: tuple[str, ...]
    usage: Tokens
    cost: float
    trace_id: str
    structured: dict[str, Any] | UnsetType = UNSET


class Answer(DoneEvent, frozen=True, kw_only=True, rename="camel"):
    """A whole answer; `id` is the turn's, `toolsCalled` are distinct and in the order of their first call."""

    response: str
    thinking: str | UnsetType = UNSET


class TurnEvent(Struct, frozen=True, kw_only=True, rename="camel"):
    """The first event of a stream, once."""

    id: str
    conversation_id: str
    model: str
    trace_id: str


class TextEvent(Struct, frozen=True, kw_only=True):
    """A piece of the answer's text."""

    text: str


class ThinkingEvent(Struct, frozen=True, kw_only=True):
    """A piece of what the model thinks, for a request that asked for it; no part of the answer."""

    text: str


class ToolEvent(Struct, frozen=True, kw_only=True):
    """A tool begins, and then ends; `milliseconds` is 0 where it begins."""

    id: str
    name: str
    status: Literal["started", "finished", "failed", "denied"]
    milliseconds: int


class ApprovalEvent(Struct, frozen=True, kw_only=True, rename="camel"):
    """A tool is run only once somebody approves; silence until `expiresAt` (ISO 8601, UTC) is a denial."""

    id: str
    name: str
    arguments: dict[str, Any]
    expires_at: str


class FieldProblem(Struct, frozen=True, kw_only=True):
    """One part of a request that is wrong: its name as the client wrote it, and why."""

    field: str
    message: str


class Problem(Struct, frozen=True, kw_only=True, rename="camel"):
    """What went wrong (RFC 9457); also the data of a stream's `error` event, which is its last.

    `error` is a sentence for people, `detail` one for developers; `retryable` says whether the same request
    may succeed later; `errors` names every part of the request that is wrong.
    """

    type: str
    title: str
    status: int
    detail: str
    error: str
    category: Category
    code: Code
    request_id: str
    trace_id: str
    retryable: bool
    fault: Fault
    errors: tuple[FieldProblem, ...]


class FeedbackOn(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a turn's caller said of it; `comment` for whoever may see content. Told of one event alone."""

    rating: Literal["up", "down"]
    given_at: str
    comment: str | UnsetType | None = UNSET


class EventMetadata(Struct, frozen=True, kw_only=True, rename="camel"):
    """What is known of an event beyond its columns; which fields there are depends on its `entityType`.

    `query` is what was asked, null where it is erased, sealed or masked, and `content` then says which.
    """

    timestamp: str
    count: int
    trace_id: str | None
    request_id: str | None
    role: str | None
    credential_id: str | None
    query: str | UnsetType | None = UNSET
    content: str | UnsetType = UNSET
    client_request_id: str | UnsetType | None = UNSET
    conversation_id: str | UnsetType | None = UNSET
    model: str | UnsetType | None = UNSET
    streamed: bool | UnsetType = UNSET
    attachments: tuple[dict[str, Any], ...] | UnsetType = UNSET
    outcome: Outcome | UnsetType = UNSET
    category: Category | UnsetType | None = UNSET
    code: Code | UnsetType | None = UNSET
    stop_reason: str | UnsetType | None = UNSET
    response_length: int | UnsetType = UNSET
    response_time: int | UnsetType = UNSET
    usage: Tokens | UnsetType = UNSET
    cost: float | UnsetType = UNSET
    cache_savings: float | UnsetType = UNSET
    token_count: dict[str, Any] | UnsetType = UNSET
    priced_as: tuple[str, ...] | UnsetType = UNSET
    model_calls: tuple[dict[str, Any], ...] | UnsetType = UNSET
    tools_called: tuple[str, ...] | UnsetType = UNSET
    tool_calls: tuple[dict[str, Any], ...] | UnsetType = UNSET
    rate_limit: dict[str, Any] | UnsetType | None = UNSET
    feedback: FeedbackOn | UnsetType = UNSET


STREAM_EVENTS = {
    "turn": TurnEvent,
    "text": TextEvent,
    "thinking": ThinkingEvent,
    "tool": ToolEvent,
    "approval": ApprovalEvent,
    "done": DoneEvent,
    "error": Problem,
}
"""The data of each event of a stream."""
