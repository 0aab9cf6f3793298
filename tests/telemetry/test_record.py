import pytest
from hypothesis import given

from telemetry.failure import Code, Failure
from telemetry.person import parted
from telemetry.record import Attempt, Caller, Ending, Outcome, ToolOutcome, TurnRecord, Usage, UsageSource
from tests.harness.records import RECORDS, UNHURT, a_model_call, a_tool_call, answered, refused

OVERLOADED = Failure(code=Code.UPSTREAM_OVERLOADED, error="UpstreamOverloaded: 529", stack="at the attempt")
TIMEOUT = Failure(code=Code.TURN_TIMEOUT, error="TurnTimeout: late", stack="at the tool")
BROKEN = Failure(code=Code.INTERNAL, error="ToolBroken: no")


def travelled(failure: Failure) -> Failure:
    """The same error, classified again further out."""
    return Failure(code=failure.code, error=failure.error, stack=failure.stack + ", further out")


def test_totals_are_sums_of_the_calls():
    record = answered()
    assert record.usage == Usage(
        input_tokens=200, output_tokens=40, cache_read_tokens=60, cache_write_tokens=20
    )
    assert record.usage.total_tokens == 240
    assert record.cost_micros == 1200
    assert record.stop_reason == "end_turn"
    assert record.milliseconds == 1234


def test_totals_are_no_fields_that_could_drift():
    fields = TurnRecord.__struct_fields__
    assert not {"usage", "cost_micros", "tools_called", "outcome", "failure", "errors"} & set(fields)


def test_adding_usage_adds_every_field():
    ones = Usage(**dict.fromkeys(Usage.__struct_fields__, 1))
    assert ones + ones == Usage(**dict.fromkeys(Usage.__struct_fields__, 2))


def test_a_turn_without_calls_sums_to_nothing():
    record = refused()
    assert (record.usage, record.cost_micros, record.tools_called) == (Usage(), 0, ())
    assert record.stop_reason is None


def test_tools_are_named_once_in_the_order_of_their_first_call():
    calls = [a_tool_call(name=name) for name in ("b", "a", "b", "c", "a")]
    assert answered(tool_calls=tuple(calls)).tools_called == ("b", "a", "c")


def test_a_refusal_is_no_error():
    assert refused().errors == ()


def test_an_answer_without_trouble_has_no_errors():
    assert answered().errors == ()


def test_the_final_error_is_told_once_though_it_was_classified_twice():
    call = a_model_call(
        attempts=(Attempt(status=529, failure=OVERLOADED), Attempt(status=529, failure=OVERLOADED)),
        failure=travelled(OVERLOADED),
    )
    record = answered(
        model_calls=(call,), tool_calls=(), ending=Ending(Outcome.FAILED, travelled(travelled(OVERLOADED)))
    )
    assert record.errors == (OVERLOADED, OVERLOADED)


def test_a_tool_cut_short_by_the_deadline_tells_it_once():
    tool = a_tool_call(outcome=ToolOutcome.FAILED, failure=TIMEOUT)
    record = answered(tool_calls=(tool,), ending=Ending(Outcome.TIMED_OUT, travelled(TIMEOUT)))
    assert record.errors == (TIMEOUT,)


def test_a_final_error_nobody_met_before_is_told():
    record = answered(ending=Ending(Outcome.TIMED_OUT, TIMEOUT))
    assert record.errors == (TIMEOUT,)


def test_errors_that_were_recovered_from_are_told_of_an_answer():
    calls = (a_model_call(attempts=(Attempt(failure=OVERLOADED), Attempt(status=200))),)
    assert answered(model_calls=calls, tool_calls=()).errors == (OVERLOADED,)


def test_errors_are_in_the_order_they_were_met():
    first = a_model_call(started_at=1, attempts=(Attempt(failure=OVERLOADED), Attempt(status=200)))
    tool = a_tool_call(started_at=2, outcome=ToolOutcome.FAILED, failure=BROKEN)
    second = a_model_call(started_at=3, attempts=(Attempt(failure=OVERLOADED), Attempt(status=200)))
    record = answered(model_calls=(first, second), tool_calls=(tool,))
    assert record.errors == (OVERLOADED, BROKEN, OVERLOADED)


@given(RECORDS)
def test_any_record_that_ended_badly_says_so_among_its_errors(record):
    hurt = record.outcome not in UNHURT and record.outcome is not Outcome.REFUSED
    assert (record.failure is None) == (record.outcome in UNHURT)
    if hurt:
        assert any(record.failure.same_error(each) for each in record.errors)


@pytest.mark.parametrize(
    ("sources", "whole"),
    [
        ((), "none"),
        (("none",), "none"),
        (("none", "reported"), "reported"),
        (("reported", "estimated", "none"), "estimated"),
    ],
)
def test_an_estimate_of_one_call_is_one_of_the_whole(sources, whole):
    calls = tuple(a_model_call(usage_source=UsageSource(source)) for source in sources)
    assert answered(model_calls=calls).usage_source is UsageSource(whole)


def test_the_model_is_the_one_that_answered_last():
    failed = a_model_call(failure=OVERLOADED, first_chunk_seconds=None)
    other = a_model_call(model="other")
    assert answered(model_calls=(failed, other)).model == "other"
    assert answered(model_calls=(failed, a_model_call(model="other", failure=OVERLOADED))).model == "other"
    silent = a_model_call(model="other", failure=OVERLOADED, first_chunk_seconds=None)
    assert answered(model_calls=(failed, silent)).model == "claude-sonnet-5-5"


def test_a_name_that_holds_a_separator_is_nobody_of_a_tenant():
    caller = Caller(user_id="acme\x1fann", role="CFO", method="jwt", credential_id="1", pseudonym="p")
    assert parted(caller.person)[0] is None
