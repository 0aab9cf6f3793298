"""Record -> what a client is told of an answer: the JSON body, and `done`, the same without the text.

Refuses to tell how a turn failed: that is a problem's part.
"""

from typing import Any

from msgspec import UNSET, UnsetType

from service.limits.rules import CONCURRENCY, TOKENS
from telemetry.record import Allowance, RateLimit, TurnRecord


def done(record: TurnRecord, structured: Any = UNSET) -> dict[str, Any]:
    """Ids, model, tools, tokens and cost. `cost` is US dollars out of integer micro-dollars."""
    opening = record.opening
    return {
        "id": opening.turn_id,
        "conversationId": opening.conversation_id,
        **({} if structured is UNSET else {"structured": structured}),
        "model": record.model,
        "stopReason": record.stop_reason,
        "toolsCalled": record.tools_called,
        "usage": record.usage.told(),
        "cost": record.cost_micros / 1_000_000,
        "traceId": opening.trace_id,
    }


def whole(
    record: TurnRecord, text: str, structured: Any = UNSET, thinking: str | UnsetType = UNSET
) -> dict[str, Any]:
    """The JSON answer, its fields in the contract's order; `thinking` where that was asked for."""
    told = done(record, structured)
    first = {"id": told.pop("id"), "conversationId": told.pop("conversationId"), "response": text}
    return {**first, **({} if thinking is UNSET else {"thinking": thinking}), **told}


def limit_headers(limit: RateLimit | None) -> dict[str, str]:
    """RateLimit and RateLimit-Policy (httpapi draft 11); none where limits are off or nobody is known.

    Every policy with a window, the role's first; how many turns may run at the same time has none.
    """
    if not limit:
        return {}
    told = [each for each in limit.allowances or (limit,) if each.policy != CONCURRENCY]
    return {
        "ratelimit-policy": ", ".join(map(_policy, told)),
        "ratelimit": ", ".join(map(_standing, told)),
        **({"ratelimit-degraded": "true"} if limit.degraded else {}),
    }


def _policy(each: RateLimit | Allowance) -> str:
    unit = ';qu="tokens"' if each.policy == TOKENS else ""
    return f'"{each.policy}";q={each.limit};w={_seconds(each.window_ms)}{unit}'


def _standing(each: RateLimit | Allowance) -> str:
    return f'"{each.policy}";r={each.remaining};t={_seconds(each.reset_ms)}'


def _seconds(milliseconds: int) -> int:
    """Whole seconds, never too early."""
    return -(-milliseconds // 1000)
