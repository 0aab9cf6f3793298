import asyncio
from contextlib import suppress

import pytest
from opentelemetry import trace

from telemetry import ids
from telemetry.canonical import canonical, commitment
from telemetry.failure import Code, Failure
from telemetry.record import Attempt, Outcome, ToolOutcome, Usage
from telemetry.testing import MemorySink
from tests.harness.records import CALLER, LIMIT
from tests.harness.sdk import traced
from tests.telemetry.turns import ROUTE, BrokenSink, Gone, Late, Refused, recorder

ASKED = {"conversation_id": "conversation-1", "model": "model-1", "query": "How much?", "streamed": True}


async def forever() -> None:
    await asyncio.Event().wait()


async def cancelled_turn(sink: MemorySink, reason: BaseException | None) -> None:
    async def run() -> None:
        with recorder(sink).turn("turn-1", ROUTE) as turn:
            turn.reason = reason
            started.set()
            with turn.model_call("model-1", {}), turn.tool_call("calculate", "toolu-1"):
                await forever()

    started = asyncio.Event()
    task = asyncio.create_task(run())
    await started.wait()
    await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()


def test_a_turn_that_returns_was_answered():
    sink = MemorySink()
    with recorder(sink).turn("turn-1", ROUTE, "client-7") as turn:
        assert turn.record is None
    (record,) = sink.records
    assert (record.outcome, record.failure) == (Outcome.ANSWERED, None)
    assert record is turn.record
    assert (record.opening.turn_id, record.opening.route) == ("turn-1", ROUTE)
    assert record.opening.client_request_id == "client-7"


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (Late("late"), Outcome.TIMED_OUT, Code.TURN_TIMEOUT),
        (Refused("no"), Outcome.REFUSED, Code.FORBIDDEN),
        (ValueError("foreign"), Outcome.FAILED, Code.INTERNAL),
        (KeyboardInterrupt(), Outcome.FAILED, Code.INTERNAL),
        (Gone(), Outcome.CLIENT_GONE, None),
    ],
)
def test_a_turn_that_raises_has_one_record_and_the_error_goes_on(error, outcome, code):
    sink = MemorySink()
    with pytest.raises(type(error)) as caught, recorder(sink).turn("turn-1", ROUTE):
        raise error
    assert caught.value is error
    (record,) = sink.records
    assert record.outcome is outcome
    assert (record.failure.code if record.failure else None) is code


@pytest.mark.parametrize(
    ("reason", "outcome", "code", "of_tool"),
    [
        (Gone(), Outcome.CLIENT_GONE, None, None),
        (Late("late"), Outcome.TIMED_OUT, Code.TURN_TIMEOUT, Code.TURN_TIMEOUT),
        (None, Outcome.FAILED, Code.INTERNAL, None),
    ],
)
async def test_a_cancelled_turn_ends_for_the_reason_it_was_cancelled_for(reason, outcome, code, of_tool):
    sink = MemorySink()
    await cancelled_turn(sink, reason)
    (record,) = sink.records
    found = [record.failure, record.model_calls[0].failure, record.tool_calls[0].failure]
    assert record.outcome is outcome
    assert [failure.code if failure else None for failure in found] == [code, code, of_tool]
    assert record.tool_calls[0].outcome is ToolOutcome.FAILED


async def test_an_error_of_the_turn_itself_wins_over_the_reason():
    sink = MemorySink()
    with suppress(ValueError), recorder(sink).turn("turn-1", ROUTE) as turn:
        turn.reason = Late("late")
        raise ValueError("own")
    assert sink.records[0].outcome is Outcome.FAILED


def test_a_turn_that_was_not_admitted_opens_nowhere():
    sink = MemorySink()
    with pytest.raises(Refused), recorder(sink).turn("turn-1", ROUTE):
        raise Refused
    assert sink.openings == []
    assert len(sink.records) == 1


def test_sinks_learn_at_admission_what_is_known_then():
    sink = MemorySink()
    with recorder(sink).turn("turn-1", ROUTE) as turn:
        turn.identified(CALLER)
        turn.asked(**ASKED)
        turn.decided(LIMIT)
        turn.admitted()
        assert sink.records == []
    (opening,) = sink.openings
    assert (opening.caller, opening.rate_limit, opening.query) == (CALLER, LIMIT, "How much?")
    assert (opening.model, opening.conversation_id, opening.streamed) == ("model-1", "conversation-1", True)
    assert sink.records[0].opening == opening


def test_every_sink_is_told_once_in_order_though_one_raises():
    told: list[str] = []

    class Telling(MemorySink):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def opened(self, opening) -> None:
            told.append(f"{self.name} opened {opening.turn_id}")

        def closed(self, record) -> None:
            told.append(f"{self.name} closed {record.opening.turn_id}")

    broken = BrokenSink()
    with recorder(Telling("first"), broken, Telling("last")).turn("turn-1", ROUTE) as turn:
        turn.admitted()
    assert told == ["first opened turn-1", "last opened turn-1", "first closed turn-1", "last closed turn-1"]
    assert (len(broken.openings), len(broken.records)) == (1, 1)
    assert turn.record.outcome is Outcome.ANSWERED


def test_times_are_those_of_the_clock():
    sink = MemorySink()
    with recorder(sink).turn("turn-1", ROUTE) as turn:  # 1
        with turn.model_call("model-1", {}) as call:  # 2
            call.content()  # 3
            call.content()
        with turn.tool_call("calculate", "toolu-1"):  # 5, after the call's end at 4
            pass
    (record,) = sink.records
    assert (record.seconds, record.model_calls[0].seconds, record.tool_calls[0].seconds) == (6.0, 2.0, 1.0)
    assert record.model_calls[0].first_chunk_seconds == 1.0


def test_a_model_call_learns_what_the_model_said():
    sink = MemorySink()
    failure = Failure(code=Code.UPSTREAM_OVERLOADED)
    with recorder(sink).turn("turn-1", ROUTE) as turn, turn.model_call("model-1", {}) as call:
        assert not call.heard
        call.attempted(Attempt(status=529, waited_seconds=0.5, failure=failure))
        call.answering("msg-1", "model-1-latest")
        call.content()
        assert call.heard
        call.counted(Usage(input_tokens=9, output_tokens=1), 10, "model-1")
        call.counted(Usage(input_tokens=9, output_tokens=7), 70, "model-1")
        call.attempted(Attempt(status=200, request_id="req-1"))
        call.stopped("end_turn")
    (call,) = sink.records[0].model_calls
    assert (call.response_id, call.response_model, call.stop_reason) == (
        "msg-1",
        "model-1-latest",
        "end_turn",
    )
    assert (call.usage, call.cost_micros) == (Usage(input_tokens=9, output_tokens=7), 70)
    assert [attempt.status for attempt in call.attempts] == [529, 200]
    # the clock goes on by one each time: the second began half a second after the first ended
    assert [(attempt.after_seconds, attempt.seconds) for attempt in call.attempts] == [(0.0, 1.0), (1.5, 1.5)]
    assert call.failure is None


def test_a_failed_model_call_keeps_what_was_counted_before():
    sink = MemorySink()
    with suppress(Late), recorder(sink).turn("turn-1", ROUTE) as turn, turn.model_call("m", {}) as call:
        call.counted(Usage(input_tokens=9), 10, "m")
        raise Late("late")
    (record,) = sink.records
    assert record.model_calls[0].failure.code is Code.TURN_TIMEOUT
    assert (record.usage.input_tokens, record.cost_micros) == (9, 10)


def test_a_tool_that_failed_by_its_own_word_does_not_end_the_turn():
    sink = MemorySink()
    failure = Failure(code=Code.INVALID_REQUEST)
    with recorder(sink).turn("turn-1", ROUTE) as turn:
        assert not turn.tools_ran
        with turn.tool_call("calculate", "toolu-1") as tool:
            tool.failed(failure)
        assert turn.tools_ran
    (record,) = sink.records
    assert (record.tool_calls[0].outcome, record.tool_calls[0].failure) == (ToolOutcome.FAILED, failure)
    assert record.outcome is Outcome.ANSWERED


def test_a_tool_that_raised_failed():
    sink = MemorySink()
    with recorder(sink).turn("turn-1", ROUTE) as turn, suppress(ValueError):
        with turn.tool_call("calculate", "toolu-1"):
            raise ValueError("no")
        turn.answered("never said")
    assert sink.records[0].response_length == 0
    assert sink.records[0].tool_calls[0].failure.code is Code.INTERNAL
    assert sink.records[0].outcome is Outcome.ANSWERED


def test_answered_text_is_counted_in_characters():
    sink = MemorySink()
    with recorder(sink).turn("turn-1", ROUTE) as turn:
        turn.answered("né")
        turn.answered("")
        turn.answered("\N{ROCKET}")
    assert sink.records[0].response_length == 3


def test_turns_at_once_do_not_mix():
    sink = MemorySink()
    made = recorder(sink)
    with made.turn("turn-1", ROUTE) as one, made.turn("turn-2", ROUTE) as two:
        one.answered("12")
        two.answered("123")
    assert {record.opening.turn_id: record.response_length for record in sink.records} == {
        "turn-1": 2,
        "turn-2": 3,
    }


def test_without_the_sdk_a_turn_still_has_ids_of_its_own():
    sink = MemorySink()
    for number in (1, 2):
        with recorder(sink).turn(f"turn-{number}", ROUTE):
            pass
    trace_ids = {record.opening.trace_id for record in sink.records}
    assert len(trace_ids) == 2
    assert all(len(each) == 32 and int(each, 16) for each in trace_ids)
    assert all(len(each.opening.span_id) == 16 and int(each.opening.span_id, 16) for each in sink.records)


def test_without_the_sdk_a_turn_takes_the_ids_of_the_request():
    from opentelemetry.trace import format_trace_id, use_span

    sink, server = MemorySink(), ids.mint_span()
    with use_span(server), recorder(sink).turn("turn-1", ROUTE):
        pass
    assert sink.records[0].opening.trace_id == format_trace_id(server.get_span_context().trace_id)


@pytest.mark.parametrize("broken", ["of_content", "of_turn", "of_server"])
def test_sinks_are_told_though_a_span_cannot_be_written(monkeypatch, broken):
    done, sink = [], MemorySink()

    def breaking(record):
        done.append(record)
        raise TypeError("no attribute")

    monkeypatch.setattr(f"telemetry.spans.{broken}", breaking)
    server = trace.get_tracer("server").start_as_current_span
    with traced(), server("server"), recorder(sink, content=True).turn("turn-1", ROUTE):
        pass
    assert done
    assert len(sink.records) == 1
    assert all(each is sink.records[0] for each in done)


@pytest.mark.parametrize(
    ("lengths", "kept"),
    [
        ([10], [True]),
        ([65_536], [True]),
        ([65_537], [False]),
        ([65_536] * 4 + [10], [True] * 4 + [False]),
        ([65_536] * 3 + [65_000, 100, 600], [True] * 5 + [False]),
    ],
    ids=str,
)
def test_of_what_tools_are_called_with_so_much_is_kept_and_all_is_committed_to(lengths, kept):
    sink = MemorySink()
    with recorder(sink).turn("turn-1", ROUTE) as turn:
        for length in lengths:
            with turn.tool_call("write", "c") as call:
                call.wanted("write", {"a": "x" * (length - len('{"a":""}'))})
    (record,) = sink.records
    assert [call.arguments is not None for call in record.tool_calls] == kept
    for call, length in zip(record.tool_calls, lengths, strict=True):
        text = call.arguments or canonical({"a": "x" * (length - len('{"a":""}'))})
        assert len(text) == length
        assert call.arguments_commitment == commitment(call.arguments_salt, text)
    assert len({call.arguments_salt for call in record.tool_calls}) == len(lengths)
