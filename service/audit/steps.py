"""What was done for a turn, step by step, as its audit row tells: when each step began, how long it took.

Refuses what was said: arguments have their commitment here, and an error its code.
"""

from collections.abc import Mapping
from typing import Any

from telemetry import names
from telemetry.record import Attempt, ModelCall, RateLimit, TokenCount, ToolCall, TurnRecord
from telemetry.timestamp import timestamp


def steps(record: TurnRecord) -> dict[str, Any]:
    """The part of a row's metadata that a waterfall is drawn by."""
    opened_at = record.opening.opened_at
    return {
        "modelCalls": [_model_call(call, opened_at) for call in record.model_calls],
        "toolsCalled": record.tools_called,
        "toolCalls": [_tool_call(call, opened_at) for call in record.tool_calls],
        **({"tokenCount": _token_count(record.token_count, opened_at)} if record.token_count else {}),
        "rateLimit": _rate_limit(record.opening.rate_limit),
    }


def _token_count(count: TokenCount, opened_at: int) -> Mapping[str, Any]:
    """What the model's API counted in a large prompt, null where it did not, and how long that took."""
    return {
        "tokens": count.tokens,
        "code": count.failure.code.value if count.failure else None,
        **_times(count, opened_at),
    }


def _model_call(call: ModelCall, opened_at: int) -> Mapping[str, Any]:
    told: dict[str, Any] = {
        "model": call.model,
        **({"provider": call.provider} if call.provider != names.PROVIDER else {}),
        "attempts": len(call.attempts),
        "responseId": call.response_id,
        "stopReason": call.stop_reason,
        "code": call.failure.code.value if call.failure else None,
        "firstTextMs": None if call.first_chunk_seconds is None else round(call.first_chunk_seconds * 1000),
        **_tokens(call),
        "costMicros": call.cost_micros,
        "savedMicros": call.saved_micros,
        "requests": [_request(attempt, call, opened_at) for attempt in call.attempts],
    }
    return {**told, **_times(call, opened_at)}


def _tokens(call: ModelCall) -> Mapping[str, int]:
    """A call's tokens; the sum of both is not told of each call, and of a cache only where one was used."""
    told = call.usage.told()
    del told["totalTokens"]
    return {name: tokens for name, tokens in told.items() if tokens or not name.startswith("cache")}


def _request(attempt: Attempt, call: ModelCall, opened_at: int) -> Mapping[str, Any]:
    """One request of a call; its own beginning is known by the call's."""
    after = (call.started_at - opened_at) / 1000 + attempt.after_seconds * 1000
    times = {"startedAfterMs": round(after), "milliseconds": round(attempt.seconds * 1000)}
    return {**attempt.told(call.model), **times}


def _tool_call(call: ToolCall, opened_at: int) -> Mapping[str, Any]:
    told: dict[str, Any] = {
        "callId": call.call_id,
        "name": call.name,
        "source": call.source,
        "effects": call.effects,
        "outcome": call.outcome.value,
        "code": call.failure.code.value if call.failure else None,
        "argumentsCommitment": call.arguments_commitment,
        "resultLength": call.result_length,
    }
    approval = {"approval": call.approval.told()} if call.approval else {}
    return {**told, **approval, **_times(call, opened_at)}


def _times(call: ModelCall | ToolCall | TokenCount, opened_at: int) -> Mapping[str, Any]:
    """When it began after the turn did, and how long it took."""
    after = round((call.started_at - opened_at) / 1000)
    return {"startedAfterMs": after, "milliseconds": round(call.seconds * 1000)}


def _rate_limit(limit: RateLimit | None) -> Mapping[str, Any] | None:
    if not limit:
        return None
    return {
        "decision": limit.decision.value,
        "policy": limit.policy,
        "limit": limit.limit,
        "windowMs": limit.window_ms,
        "remaining": limit.remaining,
        "retryAfterMs": limit.retry_after_ms,
        "store": limit.store,
        "degraded": limit.degraded,
        "decidedAt": timestamp(limit.decided_at) if limit.decided_at else None,
    }
