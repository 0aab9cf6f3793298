import asyncio
import json
from contextlib import suppress

import pytest
from msgspec import structs
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from telemetry import names
from telemetry.failure import Code, Failure
from telemetry.record import Attempt, Decision, History, Outcome, RateLimit, Usage
from telemetry.spans import of_turn
from telemetry.testing import MemorySink
from tests.harness.records import CALLER, an_opening, answered
from tests.harness.sdk import span_of, traced
from tests.harness.tree import tree
from tests.telemetry.turns import ROUTE, Gone, Late, Refused, recorder

DENIED = RateLimit(
    decision=Decision.DENIED, policy="role", limit=20, window_ms=60_000, remaining=0, retry_after_ms=1_500
)
ASKED = {"conversation_id": "conversation-1", "model": "model-1", "query": "How much?", "streamed": True}


@pytest.fixture
def kept():
    with traced() as kept:
        yield kept


def server_span():
    return trace.get_tracer("test").start_as_current_span("POST /chat", kind=SpanKind.SERVER)


def spans(kept) -> dict:
    return {span.name: span_of(span) for span in kept.get_finished_spans()}


def drawn(kept, *attributes: str) -> list[str]:
    found = [span_of(span) for span in kept.get_finished_spans()]
    assert len({span.trace_id for span in found}) == 1
    return tree(found, found[0].trace_id, attributes).split("\n")


def run_with_a_tool(sink: MemorySink) -> None:
    with recorder(sink).turn("turn-1", ROUTE) as turn:
        turn.identified(CALLER)
        turn.asked(**ASKED)
        turn.admitted()
        with turn.model_call("model-1", {names.REQUEST_STREAM: True}) as call:
            call.answering("msg-1", "model-1-latest")
            call.content()
            usage = Usage(input_tokens=9, output_tokens=7, cache_read_tokens=3)
            call.counted(usage, 70, "model-1", uncached_micros=75)
            call.attempted(Attempt(status=200))
            call.stopped("tool_use")
        with turn.tool_call("calculate", "toolu-1"):
            pass
        with turn.model_call("model-1", {}):
            pass


def test_a_turn_says_what_the_model_was_told_of_the_conversation():
    told = of_turn(answered(opening=an_opening(history=History(turns=3, dropped=2, tokens=70))))
    assert {name: told[name] for name in told if name.startswith("parley.history.")} == {
        "parley.history.turns": 3,
        "parley.history.dropped": 2,
        "parley.history.tokens": 70,
    }
    assert not any(name.startswith("parley.history.") for name in of_turn(answered()))


def test_the_tree_of_a_turn(kept):
    with server_span():
        run_with_a_tool(MemorySink())
    assert drawn(kept, names.OPERATION) == [
        "POST /chat SERVER",
        "  invoke_agent parley INTERNAL gen_ai.operation.name=invoke_agent",
        "    chat model-1 CLIENT gen_ai.operation.name=chat",
        "    execute_tool calculate INTERNAL gen_ai.operation.name=execute_tool",
        "    chat model-1 CLIENT gen_ai.operation.name=chat",
    ]


def test_the_record_has_the_ids_of_the_turns_span(kept):
    sink = MemorySink()
    with server_span():
        run_with_a_tool(sink)
    span, opening = spans(kept)[names.TURN_SPAN], sink.records[0].opening
    assert (opening.trace_id, opening.span_id) == (span.trace_id, span.span_id)


def test_what_the_turns_span_says(kept):
    run_with_a_tool(MemorySink())
    said = spans(kept)[names.TURN_SPAN].attributes
    assert said == {
        names.OPERATION: "invoke_agent",
        names.AGENT_NAME: "parley",
        names.TURN_ID: "turn-1",
        names.TURN_OUTCOME: "answered",
        names.CONVERSATION_ID: "conversation-1",
        names.REQUEST_MODEL: "model-1",
        names.USER_ROLES: ("AUDITEE",),
        names.USER_PSEUDONYM: "pseudonym-1",
        names.TOOLS_CALLED: ("calculate",),
        names.COST: 70,
        names.COST_SAVED: 5,
        names.AUDIT_ID: "turn-1",
        names.INPUT_TOKENS: 9,
        names.OUTPUT_TOKENS: 7,
        names.CACHE_READ_TOKENS: 3,
        names.CACHE_WRITE_TOKENS: 0,
        names.USAGE_SOURCE: "reported",
    }


def test_what_the_spans_of_its_steps_say(kept):
    run_with_a_tool(MemorySink())
    chat, tool = (span_of(span).attributes for span in kept.get_finished_spans()[:2])
    assert chat == {
        names.OPERATION: "chat",
        names.PROVIDER_NAME: "anthropic",
        names.REQUEST_MODEL: "model-1",
        names.REQUEST_STREAM: True,
        names.RESPONSE_ID: "msg-1",
        names.RESPONSE_MODEL: "model-1-latest",
        names.FINISH_REASONS: ("tool_use",),
        names.TIME_TO_FIRST_CHUNK: 1.0,
        names.COST: 70,
        names.COST_SAVED: 5,
        names.PRICED_AS: "model-1",
        names.ATTEMPTS: 1,
        names.INPUT_TOKENS: 9,
        names.OUTPUT_TOKENS: 7,
        names.CACHE_READ_TOKENS: 3,
        names.CACHE_WRITE_TOKENS: 0,
        names.USAGE_SOURCE: "reported",
    }
    assert tool == {
        names.OPERATION: "execute_tool",
        names.TOOL_NAME: "calculate",
        names.TOOL_CALL_ID: "toolu-1",
        names.TOOL_TYPE: "function",
        names.TOOL_OUTCOME: "finished",
    }


def test_the_server_span_says_how_an_answered_turn_ended(kept):
    with server_span():
        run_with_a_tool(MemorySink())
    server = spans(kept)["POST /chat"]
    assert server.attributes == {names.TURN_ID: "turn-1", names.TURN_OUTCOME: "answered"}
    assert server.status == "UNSET"


def test_a_failure_is_an_error_on_its_own_span_on_the_turns_and_on_the_servers(kept):
    with server_span(), suppress(Late), recorder().turn("turn-1", ROUTE) as turn, turn.model_call("m", {}):
        raise Late("secret words")
    assert drawn(kept, names.ERROR_TYPE) == [
        "POST /chat SERVER [ERROR] error.type=turn_timeout",
        "  invoke_agent parley INTERNAL [ERROR] error.type=turn_timeout",
        "    chat m CLIENT [ERROR] error.type=turn_timeout",
    ]
    for span in spans(kept).values():
        assert span.status_message == "turn_timeout"
        assert span.events == ()
        assert span.attributes[names.ERROR_CATEGORY] == "agent_service"
        assert span.attributes[names.ERROR_CODE] == "turn_timeout"
        assert span.attributes[names.ERROR_FAULT] == "service"
        assert "secret words" not in str(span.attributes)


def test_a_refusal_is_told_on_the_server_span_whose_status_is_https_own(kept):
    with server_span(), suppress(Refused), recorder().turn("turn-1", ROUTE) as turn:
        turn.decided(DENIED)
        raise Refused
    server, ours = spans(kept)["POST /chat"], spans(kept)[names.TURN_SPAN]
    assert (server.status, ours.status) == ("UNSET", "ERROR")
    assert server.attributes == {
        names.TURN_ID: "turn-1",
        names.TURN_OUTCOME: "refused",
        names.ERROR_CATEGORY: "authorization",
        names.ERROR_CODE: "forbidden",
        names.ERROR_FAULT: "caller",
        names.LIMIT_DECISION: "denied",
        names.LIMIT_POLICY: "role",
        names.LIMIT_LIMIT: 20,
        names.LIMIT_REMAINING: 0,
        names.LIMIT_RETRY_AFTER: 1_500,
        names.LIMIT_STORE: "memory",
    }
    assert server.attributes.items() <= ours.attributes.items()


def test_a_tool_that_failed_marks_its_own_span_only(kept):
    with recorder().turn("turn-1", ROUTE) as turn, turn.tool_call("calculate", "toolu-1") as tool:
        tool.failed(Failure(code=Code.INVALID_REQUEST))
    assert drawn(kept, names.TOOL_OUTCOME) == [
        "invoke_agent parley INTERNAL",
        "  execute_tool calculate INTERNAL [ERROR] parley.tool.outcome=failed",
    ]


async def cancelled_in_a_model_call(reason: BaseException | None) -> None:
    async def run() -> None:
        with server_span(), recorder().turn("turn-1", ROUTE) as turn, turn.model_call("m", {}):
            turn.reason = reason
            started.set()
            await asyncio.Event().wait()

    started = asyncio.Event()
    task = asyncio.create_task(run())
    await started.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("reason", "outcome", "status"),
    [
        (Gone(), Outcome.CLIENT_GONE, ""),
        (Late("late"), Outcome.TIMED_OUT, " [ERROR]"),
        (None, Outcome.FAILED, " [ERROR]"),
    ],
)
async def test_a_cancelled_model_call_ends_its_span(kept, reason, outcome, status):
    await cancelled_in_a_model_call(reason)
    assert drawn(kept, names.TURN_OUTCOME) == [
        f"POST /chat SERVER{status} parley.turn.outcome={outcome}",
        f"  invoke_agent parley INTERNAL{status} parley.turn.outcome={outcome}",
        f"    chat m CLIENT{status}",
    ]


@pytest.mark.usefixtures("kept")
def test_sinks_are_told_under_the_turns_span():
    seen: list[str] = []

    class Looking(MemorySink):
        def closed(self, _) -> None:
            seen.append(f"{trace.get_current_span().get_span_context().span_id:016x}")

    with server_span(), recorder(Looking()).turn("turn-1", ROUTE) as turn:
        assert turn.opening.span_id
    assert seen == [turn.opening.span_id]


def test_content_is_told_only_where_it_was_asked_for(kept):
    for content in (False, True):
        with recorder(content=content).turn("turn-1", ROUTE) as turn:
            turn.asked(conversation_id="c", model="m", query="canary \ud800\u2028", streamed=False)
    quiet, telling = (span.attributes for span in kept.get_finished_spans())
    assert "canary" not in str(quiet)
    assert json.loads(telling[names.INPUT_MESSAGES])[0]["parts"][0]["content"].startswith("canary")


def test_who_was_let_in_without_a_look_is_told_so():
    opening = an_opening()
    stale = structs.replace(opening, caller=structs.replace(opening.caller, stale=True))
    assert of_turn(answered(opening=stale))[names.AUTH_STALE] is True
    assert names.AUTH_STALE not in of_turn(answered(opening=opening))


def test_each_request_that_failed_is_an_event(kept):
    failure = Failure(code=Code.UPSTREAM_OVERLOADED)
    with recorder(MemorySink()).turn("turn-1", ROUTE) as turn, turn.model_call("m", {}) as call:
        call.attempted(Attempt(status=529, request_id="r1", waited_seconds=0.25, failure=failure))
        call.attempted(Attempt(failure=failure))
        call.attempted(Attempt(status=200, request_id="r3"))
    events = spans(kept)["chat m"].events
    assert [event.name for event in events] == [names.ATTEMPT_EVENT] * 2
    first, second = (dict(event.attributes) for event in events)
    words = {
        names.ERROR_CATEGORY: "agent_service",
        names.ERROR_CODE: "upstream_overloaded",
        names.ERROR_FAULT: "provider",
    }
    told = {names.ATTEMPT_STATUS: 529, names.ATTEMPT_REQUEST_ID: "r1", names.ATTEMPT_WAIT: 250}
    assert first == told | words
    assert second == {names.ATTEMPT_WAIT: 0} | words
