"""Spans are the frame a turn and its steps run in; their attributes are projected from the record.

Never opened by a sink: children need their parent while the turn runs.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar

from opentelemetry import context, trace
from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    TracerProvider,
    format_trace_id,
)

from telemetry import log, names
from telemetry.failure import Failure
from telemetry.record import (
    Approval,
    Attempt,
    History,
    ModelCall,
    RateLimit,
    TokenCount,
    ToolCall,
    TurnRecord,
    Usage,
)

Value = str | bool | int | float | Sequence[str]
Attributes = Mapping[str, Value]
Fact = TypeVar("Fact")
BAGGAGE = "baggage"
"""W3C's header of what callers wrote."""


@contextmanager
def frame(name: str, attributes: Attributes, kind: SpanKind = SpanKind.INTERNAL) -> Generator[Span]:
    """Run a step in a span of its own; what it raised is for `finish` to tell."""
    span = tracer_of(trace.get_tracer_provider()).start_span(name, kind=kind, attributes=attributes)
    token = context.attach(trace.set_span_in_context(span))
    try:
        yield span
    finally:
        context.detach(token)
        span.end()


@lru_cache(maxsize=2)
def tracer_of(provider: TracerProvider) -> Tracer:
    """Our tracer of a provider, which would make it anew whenever it is asked."""
    return provider.get_tracer(names.SCOPE)


def leading_here() -> dict[str, str]:
    """Headers by which another service's spans come below the current one, as OTEL_PROPAGATORS has it.

    Never baggage: it is what callers wrote, for nobody beyond us.
    """
    from opentelemetry import propagate  # noqa: PLC0415 - raises where it names what is not there

    headers: dict[str, str] = {}
    propagate.inject(headers)
    headers.pop(BAGGAGE, None)
    return headers


def trace_here() -> str | None:
    """The trace that we are in, as 32 hex characters; None outside of any."""
    current = trace.get_current_span().get_span_context()
    return format_trace_id(current.trace_id) if current.is_valid else None


def finish(span: Span, of: Callable[[Fact], Attributes], fact: Fact, failure: Failure | None) -> None:
    """Write what is known of a fact at the end; a failure sets `error.type` and the status."""
    if not span.is_recording():
        return
    span.set_attributes(of(fact))
    if failure:
        span.set_attribute(names.ERROR_TYPE, failure.code.value)
        span.set_status(Status(StatusCode.ERROR, failure.code))


def of_content(record: TurnRecord) -> Attributes:
    """What was asked, in the conventions' form; only for those who chose to export content."""
    query = record.opening.query
    if query is None:
        return {}
    message = {"role": "user", "parts": [{"type": "text", "content": query}]}
    return {names.INPUT_MESSAGES: log.encode([message])}


def of_turn(record: TurnRecord) -> Attributes:
    """Attributes of `invoke_agent`."""
    opening, caller = record.opening, record.opening.caller
    known = {
        names.CONVERSATION_ID: opening.conversation_id,
        names.REQUEST_MODEL: opening.model,
        names.USER_ROLES: (caller.role,) if caller else None,
        names.USER_PSEUDONYM: caller.pseudonym if caller else None,
        names.AUTH_STALE: True if caller and caller.stale else None,
        names.TOOLS_CALLED: record.tools_called,
        names.COST: record.cost_micros,
        names.COST_SAVED: record.saved_micros,
        names.AUDIT_ID: opening.turn_id,
    }
    source = {names.USAGE_SOURCE: record.usage_source.value}
    return {
        **_given(known),
        **of_history(opening.history),
        **of_usage(record.usage),
        **source,
        **of_server(record),
    }


def of_history(history: History | None) -> dict[str, Value]:
    """What the model was told of earlier turns; nothing where the conversation is new."""
    if not history:
        return {}
    return {
        names.HISTORY_TURNS: history.turns,
        names.HISTORY_DROPPED: history.dropped,
        names.HISTORY_TOKENS: history.tokens,
    }


def of_server(record: TurnRecord) -> Attributes:
    """What the SERVER span says of the turn, always: id, outcome, error, rate limit."""
    return {
        names.TURN_ID: record.opening.turn_id,
        names.TURN_OUTCOME: record.outcome.value,
        **of_failure(record.failure),
        **of_limit(record.opening.rate_limit),
    }


def of_model_call(call: ModelCall) -> Attributes:
    """Attributes of `chat {model}` at its end."""
    known = {
        names.RESPONSE_ID: call.response_id,
        names.RESPONSE_MODEL: call.response_model,
        names.FINISH_REASONS: (call.stop_reason,) if call.stop_reason else None,
        names.TIME_TO_FIRST_CHUNK: call.first_chunk_seconds,
        names.COST: call.cost_micros,
        names.COST_SAVED: call.saved_micros,
        names.PRICED_AS: call.priced_as or None,
        names.ATTEMPTS: len(call.attempts),
        names.USAGE_SOURCE: call.usage_source.value,
    }
    return _given(known) | of_usage(call.usage) | of_failure(call.failure)


def of_token_count(count: TokenCount) -> Attributes:
    """Attributes of `count_tokens {model}` at its end."""
    return _given({names.COUNTED_TOKENS: count.tokens}) | of_failure(count.failure)


def tell_attempts(span: Span, call: ModelCall) -> None:
    """Write an event for each attempt that failed; one that did not is the span itself."""
    for attempt in call.attempts:
        if attempt.failure:
            span.add_event(names.ATTEMPT_EVENT, of_attempt(attempt))


def of_attempt(attempt: Attempt) -> Attributes:
    """Attributes of an attempt's event."""
    known = {
        names.ATTEMPT_STATUS: attempt.status,
        names.ATTEMPT_REQUEST_ID: attempt.request_id,
        names.ATTEMPT_WAIT: round(attempt.waited_seconds * 1000),
    }
    return _given(known) | of_failure(attempt.failure)


def of_tool_call(call: ToolCall) -> Attributes:
    """Attributes of `execute_tool {tool}` at its end."""
    known = {
        names.TOOL_OUTCOME: call.outcome.value,
        names.TOOL_SOURCE: call.source,
        names.TOOL_EFFECTS: call.effects,
        names.TOOL_ARGUMENTS_COMMITMENT: call.arguments_commitment,
        names.TOOL_RESULT_LENGTH: call.result_length,
    }
    return {**_given(known), **of_approval(call.approval), **of_failure(call.failure)}


def of_approval(approval: Approval | None) -> dict[str, Value]:
    """Somebody's word on the call; nothing where none was needed."""
    if not approval:
        return {}
    known = {
        names.APPROVAL_DECISION: approval.decision.value,
        names.APPROVAL_BY: approval.decided_by,
        names.APPROVAL_ROLE: approval.role,
        names.APPROVAL_WAIT: approval.milliseconds,
    }
    return _given(known)


def of_usage(usage: Usage) -> dict[str, Value]:
    """Tokens, under the conventions' names."""
    return {
        names.INPUT_TOKENS: usage.input_tokens,
        names.OUTPUT_TOKENS: usage.output_tokens,
        names.CACHE_READ_TOKENS: usage.cache_read_tokens,
        names.CACHE_WRITE_TOKENS: usage.cache_write_tokens,
    }


def of_failure(failure: Failure | None) -> dict[str, Value]:
    """The error's words; nothing where there is none."""
    if not failure:
        return {}
    return {
        names.ERROR_CATEGORY: failure.category.value,
        names.ERROR_CODE: failure.code.value,
        names.ERROR_FAULT: failure.fault.value,
    }


def of_limit(limit: RateLimit | None) -> dict[str, Value]:
    """The limiter's decision; nothing where none was made."""
    if not limit:
        return {}
    return {
        names.LIMIT_DECISION: limit.decision.value,
        names.LIMIT_POLICY: limit.policy,
        names.LIMIT_LIMIT: limit.limit,
        names.LIMIT_REMAINING: limit.remaining,
        names.LIMIT_RETRY_AFTER: limit.retry_after_ms,
        names.LIMIT_STORE: limit.store,
    }


def _given(known: Mapping[str, Value | None]) -> dict[str, Value]:
    return {key: value for key, value in known.items() if value is not None}
