"""Records for tests: one of each kind by hand, and strategies for any that the recorder could build.

Refuses impossible records: a turn that was answered, or that its client left, has no failure.
"""

from typing import Any

from hypothesis import strategies as st

from telemetry import ids
from telemetry.failure import Code, Failure, FieldError
from telemetry.record import (
    Approval,
    ApprovalDecision,
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

MOMENT = 1_764_000_000_123_456
"""Microseconds since 1970."""
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SPAN_ID = "b7ad6b7169203331"
CANARY = "CANARY-0f9a: what did we spend?"
"""A query's text that no exported signal may hold."""
UNHURT = (Outcome.ANSWERED, Outcome.CLIENT_GONE)
"""Outcomes without a failure."""

CALLER = Caller(
    user_id="user-1", role="AUDITEE", method="api_key", credential_id="key-1", pseudonym="pseudonym-1"
)
LIMIT = RateLimit(
    decision=Decision.ALLOWED, policy="role", limit=20, window_ms=60_000, remaining=19, reset_ms=60_000
)


def an_opening(**facts: Any) -> TurnOpening:
    """A turn that was admitted; `facts` replace what it says."""
    known: dict[str, Any] = {
        "turn_id": ids.uuid7(),
        "trace_id": TRACE_ID,
        "span_id": SPAN_ID,
        "opened_at": MOMENT,
        "route": "POST /api/v1/agent/chat",
        "caller": CALLER,
        "conversation_id": "0197b1d5-9c56-7cf0-9d0b-3b1b8a5b2a11",
        "model": "claude-sonnet-5-5",
        "query": CANARY,
        "rate_limit": LIMIT,
    }
    return TurnOpening(**known | facts)


def a_model_call(**facts: Any) -> ModelCall:
    """A call that was answered at its first attempt."""
    known: dict[str, Any] = {
        "model": "claude-sonnet-5-5",
        "started_at": MOMENT + 10,
        "seconds": 0.5,
        "response_model": "claude-sonnet-5-5",
        "response_id": "msg-1",
        "first_chunk_seconds": 0.2,
        "usage": Usage(input_tokens=100, output_tokens=20, cache_read_tokens=30, cache_write_tokens=10),
        "usage_source": UsageSource.REPORTED,
        "cost_micros": 600,
        "uncached_micros": 640,
        "priced_as": "claude-sonnet-5-5",
        "stop_reason": "end_turn",
        "attempts": (Attempt(status=200, request_id="req-1"),),
    }
    return ModelCall(**known | facts)


def a_tool_call(**facts: Any) -> ToolCall:
    """A tool that finished."""
    known: dict[str, Any] = {
        "name": "calculate",
        "call_id": "toolu-1",
        "started_at": MOMENT + 20,
        "seconds": 0.01,
        "outcome": ToolOutcome.FINISHED,
    }
    return ToolCall(**known | facts)


def answered(**facts: Any) -> TurnRecord:
    """A turn with one tool round."""
    known: dict[str, Any] = {
        "opening": an_opening(),
        "seconds": 1.2345,
        "ending": Ending(Outcome.ANSWERED),
        "model_calls": (a_model_call(stop_reason="tool_use"), a_model_call(started_at=MOMENT + 30)),
        "tool_calls": (a_tool_call(),),
        "response_length": 42,
    }
    return TurnRecord(**known | facts)


def refused(code: Code = Code.RATE_LIMITED, **facts: Any) -> TurnRecord:
    """A turn that never reached the model."""
    failure = Failure(code=code, detail="No.", error="Refusal: No.", retry_after_ms=1_500)
    known: dict[str, Any] = {
        "opening": an_opening(),
        "seconds": 0.001,
        "ending": Ending(Outcome.REFUSED, failure),
    }
    return TurnRecord(**known | facts)


def failed(code: Code = Code.UPSTREAM_ERROR, outcome: Outcome = Outcome.FAILED, **facts: Any) -> TurnRecord:
    """A turn that the model's API ended."""
    failure = Failure(code=code, error="UpstreamFailed: no", stack="Traceback: no")
    call = a_model_call(attempts=(Attempt(status=500, failure=failure),), failure=failure, usage=Usage())
    known: dict[str, Any] = {
        "opening": an_opening(),
        "seconds": 0.7,
        "ending": Ending(outcome, failure),
        "model_calls": (call,),
    }
    return TurnRecord(**known | facts)


TEXTS = st.text(max_size=40)
COUNTS = st.integers(0, 10**9)
SECONDS = st.floats(0, 10**5, allow_nan=False)
MOMENTS = st.integers(10**15, 4 * 10**15)
ROLES = st.sampled_from(("CFO", "AUDITEE", "GUEST", "SALES", "X9"))
MODELS = st.sampled_from(("claude-sonnet-5-5", "claude-haiku-5-5", "somebody-elses-model"))
TOOLS = st.sampled_from(("calculate", "current_time", "search"))
FAILURES = st.builds(
    Failure,
    code=st.sampled_from(Code),
    detail=TEXTS,
    error=TEXTS,
    stack=TEXTS,
    retry_after_ms=st.none() | COUNTS,
    fields=st.lists(st.builds(FieldError, field=TEXTS, message=TEXTS), max_size=2).map(tuple),
)
USAGES = st.builds(
    Usage,
    input_tokens=COUNTS,
    output_tokens=COUNTS,
    cache_read_tokens=COUNTS,
    cache_write_tokens=COUNTS,
    cache_write_1h_tokens=COUNTS,
)
CALLERS = st.builds(
    Caller,
    user_id=TEXTS.map("user:{}".format),
    role=ROLES,
    method=st.sampled_from(("api_key", "jwt", "cookie")),
    credential_id=TEXTS,
    pseudonym=st.text("0123456789abcdef", min_size=16, max_size=16),
    scopes=st.just(()),
)
LIMITS = st.builds(
    RateLimit,
    decision=st.sampled_from(Decision),
    policy=st.just("role"),
    limit=st.integers(1, 1000),
    window_ms=st.integers(100, 86_400_000),
    remaining=st.integers(0, 1000),
    reset_ms=COUNTS,
    retry_after_ms=COUNTS,
    store=st.sampled_from(("memory", "redis")),
)
ATTEMPTS = st.builds(
    Attempt,
    status=st.none() | st.sampled_from((200, 429, 500, 529)),
    request_id=st.none() | TEXTS,
    waited_seconds=SECONDS,
    failure=st.none() | FAILURES,
)
MODEL_CALLS = st.builds(
    ModelCall,
    model=MODELS,
    started_at=MOMENTS,
    seconds=SECONDS,
    response_model=st.none() | MODELS,
    response_id=st.none() | TEXTS,
    first_chunk_seconds=st.none() | SECONDS,
    usage=USAGES,
    cost_micros=COUNTS,
    priced_as=st.just("") | MODELS,
    stop_reason=st.none() | st.sampled_from(("end_turn", "tool_use", "max_tokens")),
    attempts=st.lists(ATTEMPTS, max_size=3).map(tuple),
    failure=st.none() | FAILURES,
)
APPROVALS = st.builds(
    Approval,
    decision=st.sampled_from(ApprovalDecision),
    decided_by=st.none() | st.just("pseudonym-2"),
    role=st.none() | st.just("CFO"),
    milliseconds=st.integers(0, 60_000),
)
TOOL_CALLS = st.builds(
    ToolCall,
    name=TOOLS,
    call_id=TEXTS,
    started_at=MOMENTS,
    seconds=SECONDS,
    outcome=st.sampled_from(ToolOutcome),
    failure=st.none() | FAILURES,
    approval=st.none() | APPROVALS,
)
OPENINGS = st.builds(
    TurnOpening,
    turn_id=st.uuids(version=4).map(str),
    trace_id=st.integers(1, 2**128 - 1).map("{:032x}".format),
    span_id=st.integers(1, 2**64 - 1).map("{:016x}".format),
    opened_at=MOMENTS,
    route=st.just("POST /api/v1/agent/chat"),
    client_request_id=st.none() | TEXTS,
    caller=st.none() | CALLERS,
    conversation_id=st.none() | st.uuids().map(str),
    model=st.none() | MODELS,
    query=st.none() | TEXTS.map(lambda text: CANARY + text),
    streamed=st.booleans(),
    rate_limit=st.none() | LIMITS,
)
HURT = st.sampled_from([outcome for outcome in Outcome if outcome not in UNHURT])
ENDINGS = st.sampled_from(UNHURT).map(Ending) | st.builds(Ending, HURT, FAILURES)
RECORDS = st.builds(
    TurnRecord,
    opening=OPENINGS,
    seconds=SECONDS,
    ending=ENDINGS,
    model_calls=st.lists(MODEL_CALLS, max_size=3).map(tuple),
    tool_calls=st.lists(TOOL_CALLS, max_size=3).map(tuple),
    response_length=COUNTS,
)
"""Any record."""
