"""Record -> answer: the contract's fields in the contract's order."""

import pytest

from service.web.answer import done, limit_headers, whole
from telemetry.record import (
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
)

OPENING = TurnOpening(
    turn_id="t1",
    trace_id="a" * 32,
    span_id="b" * 16,
    opened_at=1,
    route="r",
    conversation_id="c1",
    model="m1",
)


def call(cost, reason, **usage):
    return ModelCall(
        model="m1", started_at=1, seconds=1, cost_micros=cost, stop_reason=reason, usage=Usage(**usage)
    )


def tool(name):
    return ToolCall(name=name, call_id="u", started_at=1, seconds=1, outcome=ToolOutcome.FINISHED)


RECORD = TurnRecord(
    opening=OPENING,
    seconds=1,
    ending=Ending(Outcome.ANSWERED),
    model_calls=(
        call(100, "tool_use", input_tokens=5, output_tokens=2, cache_read_tokens=1, cache_write_tokens=2),
        call(23, "end_turn", input_tokens=6, output_tokens=3),
    ),
    tool_calls=(tool("b"), tool("a"), tool("b")),
)


def test_the_whole_answer():
    told = whole(RECORD, "hi")
    assert list(told.items()) == [
        ("id", "t1"),
        ("conversationId", "c1"),
        ("response", "hi"),
        ("model", "m1"),
        ("stopReason", "end_turn"),
        ("toolsCalled", ("b", "a")),
        (
            "usage",
            {
                "inputTokens": 11,
                "outputTokens": 5,
                "totalTokens": 16,
                "cacheReadTokens": 1,
                "cacheWriteTokens": 2,
            },
        ),
        ("cost", 0.000123),
        ("traceId", "a" * 32),
    ]


def test_done_is_the_answer_without_its_text():
    told = whole(RECORD, "hi")
    del told["response"]
    assert done(RECORD) == told


@pytest.mark.parametrize(
    ("window_ms", "reset_ms", "policy", "limit"),
    [
        (60_000, 12_000, '"role";q=20;w=60', '"role";r=7;t=12'),
        (60_000, 11_001, '"role";q=20;w=60', '"role";r=7;t=12'),
        (1_500, 1, '"role";q=20;w=2', '"role";r=7;t=1'),
        (100, 0, '"role";q=20;w=1', '"role";r=7;t=0'),
    ],
)
def test_seconds_are_rounded_up(window_ms, reset_ms, policy, limit):
    stands = RateLimit(
        decision=Decision.ALLOWED,
        policy="role",
        limit=20,
        window_ms=window_ms,
        remaining=7,
        reset_ms=reset_ms,
    )
    assert limit_headers(stands) == {"ratelimit-policy": policy, "ratelimit": limit}


def test_without_limits_there_are_no_headers():
    assert limit_headers(None) == {}
