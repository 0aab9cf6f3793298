"""Audit row -> the record it was made of, as far as the row tells: what is projected from it is as it was.

Refuses to guess: what a row does not have (an error's words, a stack, the span's id) is not there.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from service.store.event import Event
from service.web.chat import PATH
from telemetry.failure import Code, Failure
from telemetry.log import Line, level_name
from telemetry.record import (
    Attempt,
    Caller,
    Decision,
    Ending,
    ModelCall,
    Outcome,
    RateLimit,
    ToolCall,
    ToolOutcome,
    TurnOpening,
    TurnRecord,
    Usage,
    UsageSource,
)
from telemetry.sinks import logs

UNKNOWN = ("timestamp", "spanId", "error", "stack", "reason")
"""Fields of a line that no row has: when it was written, and words for operators."""


def record_of(event: Event) -> TurnRecord:
    """The record; a row that is older than a model call's own tokens has them all in the last call."""
    told, failure = event.metadata, _failure(event)
    return TurnRecord(
        opening=_opening(event),
        seconds=(event.response_time or 0) / 1000,
        ending=Ending(Outcome(event.outcome or Outcome.ANSWERED), failure),
        model_calls=tuple(_model_calls(event)),
        tool_calls=tuple(_tool_call(each) for each in told.get("toolCalls") or ()),
        response_length=told.get("responseLength") or 0,
    )


def line_of(event: Event) -> Mapping[str, Any]:
    """The line that told how the turn ended, without what no row knows."""
    line = logs.ending(record_of(event))
    known = {"level": level_name(line.level), "type": line.type, "traceId": event.trace_id}
    return {**known, "requestId": event.request_id, **_known(line)}


def sampled(event: Event, rate: float) -> bool:
    """Whether a completed line of this turn is written at this rate."""
    return event.trace_id is None or logs.kept(event.trace_id, rate)


def rate_limit_of(event: Event) -> RateLimit | None:
    """The limiter's decision; `window_ms` is 0 where an older row does not tell it."""
    told: Mapping[str, Any] | None = event.metadata.get("rateLimit")
    if not told:
        return None
    return RateLimit(
        decision=Decision(told["decision"]),
        policy=told["policy"],
        limit=told["limit"],
        window_ms=told.get("windowMs", 0),
        remaining=told["remaining"],
        retry_after_ms=told["retryAfterMs"],
        store=told["store"],
        degraded=told["degraded"],
    )


def _known(line: Line) -> Mapping[str, Any]:
    return {name: value for name, value in line.fields.items() if name not in UNKNOWN}


def _opening(event: Event) -> TurnOpening:
    told = event.metadata
    return TurnOpening(
        turn_id=event.id,
        trace_id=event.trace_id or "",
        span_id="",
        opened_at=round(datetime.fromisoformat(event.created_at).timestamp() * 1_000_000),
        route=f"POST {PATH}",
        client_request_id=told.get("clientRequestId"),
        caller=_caller(event),
        conversation_id=told.get("conversationId"),
        model=told.get("askedModel", event.model),
        query=told.get("query"),
        streamed=bool(told.get("streamed")),
        rate_limit=rate_limit_of(event),
    )


def _caller(event: Event) -> Caller | None:
    if event.actor_id is None:
        return None
    told = event.metadata
    return Caller(
        user_id=event.actor_id,
        role=event.role or "",
        method="",
        credential_id=told.get("credentialId") or "",
        pseudonym="",
        tenant=told.get("tenant"),
        stale=bool(told.get("authStale")),
    )


def _failure(event: Event) -> Failure | None:
    if event.code is None:
        return None
    limit: Mapping[str, Any] = event.metadata.get("rateLimit") or {}
    return Failure(code=Code(event.code), retry_after_ms=limit.get("retryAfterMs"))


def _model_calls(event: Event) -> Iterator[ModelCall]:
    calls: Sequence[Mapping[str, Any]] = event.metadata.get("modelCalls") or ()
    source = UsageSource(event.metadata.get("usageSource", UsageSource.REPORTED))
    for number, call in enumerate(calls, 1):
        usage, cost = _spent(event, call, last=number == len(calls))
        yield ModelCall(
            model=call["model"],
            started_at=0,
            seconds=call.get("milliseconds", 0) / 1000,
            usage=usage,
            usage_source=source,
            cost_micros=cost,
            first_chunk_seconds=_heard(event, call, last=number == len(calls)),
            attempts=tuple(_attempt(each) for each in call.get("requests") or ()),
            failure=_coded(call.get("code")),
        )


def _spent(event: Event, call: Mapping[str, Any], *, last: bool) -> tuple[Usage, int]:
    if "inputTokens" in call:
        return Usage(input_tokens=call["inputTokens"], output_tokens=call["outputTokens"]), call["costMicros"]
    if not last:
        return Usage(), 0
    return Usage(input_tokens=event.input_tokens, output_tokens=event.output_tokens), event.cost_micros


def _heard(event: Event, call: Mapping[str, Any], *, last: bool) -> float | None:
    """When content came; of an older row it is known only by which model answered."""
    if "firstTextMs" in call:
        return None if call["firstTextMs"] is None else call["firstTextMs"] / 1000
    return 0.0 if last or call["model"] == event.model else None


def _attempt(told: Mapping[str, Any]) -> Attempt:
    return Attempt(
        status=told["status"],
        request_id=told["requestId"],
        waited_seconds=told["waitMs"] / 1000,
        failure=_coded(told["code"]),
    )


def _tool_call(told: Mapping[str, Any]) -> ToolCall:
    return ToolCall(
        name=told["name"],
        call_id=told.get("callId", ""),
        started_at=0,
        seconds=told.get("milliseconds", 0) / 1000,
        outcome=ToolOutcome(told["outcome"]),
        failure=_coded(told.get("code")),
    )


def _coded(code: str | None) -> Failure | None:
    return Failure(code=Code(code)) if code else None
