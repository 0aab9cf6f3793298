"""Record -> what a client is told of an answer: the JSON body, and `done`, the same without the text.

Refuses to tell how a turn failed: that is a problem's part.
"""

from typing import Any

from telemetry.record import RateLimit, TurnRecord


def done(record: TurnRecord) -> dict[str, Any]:
    """Ids, model, tools, tokens and cost. `cost` is US dollars out of integer micro-dollars."""
    opening = record.opening
    return {
        "id": opening.turn_id,
        "conversationId": opening.conversation_id,
        "model": opening.model,
        "stopReason": record.stop_reason,
        "toolsCalled": record.tools_called,
        "usage": record.usage.told(),
        "cost": record.cost_micros / 1_000_000,
        "traceId": opening.trace_id,
    }


def whole(record: TurnRecord, text: str) -> dict[str, Any]:
    """The JSON answer, its fields in the contract's order."""
    told = done(record)
    return {"id": told.pop("id"), "conversationId": told.pop("conversationId"), "response": text, **told}


def limit_headers(limit: RateLimit | None) -> dict[str, str]:
    """RateLimit and RateLimit-Policy (httpapi draft 11); none where limits are off or nobody is known."""
    if not limit:
        return {}
    window, reset = -(-limit.window_ms // 1000), -(-limit.reset_ms // 1000)
    return {
        "ratelimit-policy": f'"{limit.policy}";q={limit.limit};w={window}',
        "ratelimit": f'"{limit.policy}";r={limit.remaining};t={reset}',
    }
