"""Record -> audit row: a pure projection. `metadata` never holds the query; the row carries it beside."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from telemetry.record import RateLimit, ToolCall, TurnRecord
from telemetry.timestamp import timestamp

ENTITY = "AGENT_QUERY"
ANSWERED, REFUSED = "QUERY", "REFUSED"


class AuditRow(Struct, frozen=True, kw_only=True):
    """One row. `created_at` is microseconds since 1970 (UTC), `metadata` canonical JSON."""

    id: str
    entity_type: str
    entity_id: str
    action: str
    actor_id: str | None
    role: str | None
    outcome: str
    category: str | None
    code: str | None
    model: str | None
    trace_id: str
    request_id: str
    input_tokens: int
    output_tokens: int
    cost_micros: int
    response_time_ms: int
    count: int
    metadata: str
    query: str | None
    created_at: int


def row_of(record: TurnRecord) -> AuditRow:
    """The row of a turn; its id is the turn's, so that writing it twice is writing it once."""
    opening, failure = record.opening, record.failure
    return AuditRow(
        id=opening.turn_id,
        entity_type=ENTITY,
        entity_id=opening.turn_id,
        action=REFUSED if record.outcome == "refused" else ANSWERED,
        actor_id=opening.caller.user_id if opening.caller else None,
        role=opening.caller.role if opening.caller else None,
        outcome=record.outcome.value,
        category=failure.category.value if failure else None,
        code=failure.code.value if failure else None,
        model=opening.model,
        trace_id=opening.trace_id,
        request_id=opening.turn_id,
        input_tokens=record.usage.input_tokens,
        output_tokens=record.usage.output_tokens,
        cost_micros=record.cost_micros,
        response_time_ms=record.milliseconds,
        count=1,
        metadata=msgspec.json.encode(metadata(record), order="deterministic").decode(),
        query=opening.query,
        created_at=opening.opened_at,
    )


def metadata(record: TurnRecord) -> dict[str, Any]:
    """What a reader asks a row for, under the contract's names (section 6)."""
    opening, failure, usage = record.opening, record.failure, record.usage
    return {
        "responseLength": record.response_length,
        "toolsCalled": record.tools_called,
        "usage": {
            "inputTokens": usage.input_tokens,
            "outputTokens": usage.output_tokens,
            "totalTokens": usage.total_tokens,
            "cacheReadTokens": usage.cache_read_tokens,
            "cacheWriteTokens": usage.cache_write_tokens,
        },
        "cost": record.cost_micros / 1_000_000,
        "pricedAs": sorted({call.priced_as for call in record.model_calls if call.priced_as}),
        "timestamp": timestamp(opening.opened_at),
        "outcome": record.outcome.value,
        "category": failure.category.value if failure else None,
        "code": failure.code.value if failure else None,
        "role": opening.caller.role if opening.caller else None,
        "credentialId": opening.caller.credential_id if opening.caller else None,
        "model": opening.model,
        "conversationId": opening.conversation_id,
        "stopReason": record.stop_reason,
        "streamed": opening.streamed,
        "traceId": opening.trace_id,
        "requestId": opening.turn_id,
        "clientRequestId": opening.client_request_id,
        "responseTime": record.milliseconds,
        "modelCalls": [
            _model_call(call.model, len(call.attempts), call.response_id) for call in record.model_calls
        ],
        "toolCalls": [_tool_call(call) for call in record.tool_calls],
        "rateLimit": _rate_limit(opening.rate_limit),
        "count": 1,
    }


def _model_call(model: str, attempts: int, response_id: str | None) -> Mapping[str, Any]:
    return {"model": model, "attempts": attempts, "responseId": response_id}


def _tool_call(call: ToolCall) -> Mapping[str, Any]:
    return {"name": call.name, "outcome": call.outcome.value, "milliseconds": round(call.seconds * 1000)}


def _rate_limit(limit: RateLimit | None) -> Mapping[str, Any] | None:
    if not limit:
        return None
    return {
        "decision": limit.decision.value,
        "policy": limit.policy,
        "limit": limit.limit,
        "remaining": limit.remaining,
        "retryAfterMs": limit.retry_after_ms,
    }
