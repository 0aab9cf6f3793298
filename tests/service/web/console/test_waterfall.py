"""A row -> the steps of its waterfall, and where their bars are."""

import pytest
from msgspec import structs

from service.web.console.figures import ABSENT, MINUS, count, dollars, span
from service.web.console.life import life_of
from service.web.console.waterfall import LEAST, waterfall
from service.web.queries import Query
from telemetry.failure import Code, Failure
from telemetry.record import Approval, ApprovalDecision, Attempt, TokenCount, ToolOutcome, Usage
from tests.harness.records import MOMENT, a_model_call, a_tool_call, answered, failed, refused
from tests.service.web.test_retold import event_of

BUSY = Failure(code=Code.UPSTREAM_OVERLOADED)


def shown(steps):
    return [(step.depth, step.kind, step.name, step.after, step.took, step.note) for step in steps]


def eventful():
    """A turn of a second: counted, asked twice with a wait between, a tool that was waited for."""
    attempts = (
        Attempt(status=529, seconds=0.1, waited_seconds=0.2, failure=BUSY),
        Attempt(status=200, after_seconds=0.3, seconds=0.1),
    )
    asked = a_model_call(
        model="m", started_at=MOMENT + 100_000, seconds=0.4, attempts=attempts, first_chunk_seconds=0.35
    )
    waited = Approval(
        decision=ApprovalDecision.APPROVE, decided_by="pseudonym-2", role="CFO", milliseconds=300
    )
    tool = a_tool_call(name="pay", started_at=MOMENT + 500_000, seconds=0.4, approval=waited)
    counted = TokenCount(model="m", started_at=MOMENT, seconds=0.05, tokens=9_000)
    return answered(seconds=1.0, model_calls=(asked,), tool_calls=(tool,), token_count=counted)


def test_every_step_is_there_in_its_order_and_depth():
    steps = waterfall(event_of(eventful())).steps
    assert shown(steps) == [
        (0, "server", "POST /api/v1/agent/chat", 0, 1000, "answered"),
        (1, "agent", "invoke_agent parley", 0, 1000, ""),
        (2, "count", "count_tokens claude-sonnet-5-5", 0, 50, "9,000 tokens"),
        (2, "model", "chat m", 100, 400, "end_turn"),
        (3, "attempt", "attempt 1", 100, 100, "529 · upstream_overloaded"),
        (3, "wait", "wait", 200, 200, ""),
        (3, "attempt", "attempt 2", 400, 100, "200"),
        (2, "tool", "execute_tool pay", 500, 400, "finished"),
        (3, "wait", "approval", 500, 300, "approve by CFO"),
    ]


def test_bars_are_where_their_steps_were():
    whole = waterfall(event_of(eventful()))
    assert (whole.whole, whole.placed) == (1000, True)
    assert [(step.left, step.width) for step in whole.steps][2:5] == [(0.0, 5.0), (10.0, 40.0), (10.0, 10.0)]
    assert whole.steps[3].mark == 45.0
    assert [step.bad for step in whole.steps[3:5]] == [False, True]


def test_no_bar_leaves_the_whole_and_none_is_too_thin_to_be_seen():
    late = a_tool_call(started_at=MOMENT + 1_000_000, seconds=0.0, outcome=ToolOutcome.DENIED)
    steps = waterfall(event_of(answered(seconds=1.0, model_calls=(), tool_calls=(late,)))).steps
    assert (steps[-1].left, steps[-1].width, steps[-1].bad) == (100.0 - LEAST, LEAST, True)


def test_one_good_attempt_is_not_told_twice():
    steps = waterfall(event_of(answered())).steps
    assert not [step for step in steps if step.kind == "attempt"]


def test_steps_of_an_older_row_have_no_bars():
    row = event_of(answered())
    calls = [
        {key: value for key, value in call.items() if key not in {"startedAfterMs", "milliseconds"}}
        for call in row.metadata["modelCalls"]
    ]
    whole = waterfall(event_of(answered(), modelCalls=calls, toolCalls=[{"name": "t", "outcome": "failed"}]))
    assert not whole.placed
    assert [step.left for step in whole.steps if step.depth == 2] == [None] * 3


def test_a_turn_whose_time_nobody_saw_has_no_bars():
    whole = waterfall(structs.replace(event_of(refused()), response_time=0, metadata={}))
    assert (whole.whole, whole.placed, whole.steps[0].left) == (0, False, None)


def life(record, **changed):
    event = event_of(record, **changed)
    told = Query(event=event, own=True, line={"type": "t"}, logged=True, feedback=None, standing=None)
    return life_of(told)


@pytest.mark.parametrize("code", Code)
def test_every_error_leads_to_advice_that_is_there(code):
    from service.web.console.runbook import sections

    trouble = life(failed(code)).trouble
    assert trouble.runbook in {each.name for each in sections()}
    assert (trouble.category, trouble.words != "") == (Failure(code=code).category, True)


def test_figures_by_call_are_told_where_the_row_has_them():
    assert life(answered()).told_by_call
    assert life(answered()).saved == 80
    older = [{"model": "m", "attempts": 1, "responseId": None}]
    assert not life(answered(), modelCalls=older).told_by_call
    assert life(answered(model_calls=(a_model_call(usage=Usage()),))).told_by_call


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, ABSENT),
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1.00 s"),
        (119_994, "119.99 s"),
        (120_000, "2 min"),
        (7_260_000, "2 h 1 min"),
    ],
)
def test_spans(given, said):
    assert span(given) == said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (0, "$0.00"),
        (1, "$0.000001"),
        (-12, f"{MINUS}$0.000012"),
        (10_000, "$0.0100"),
        (1_234_567_890, "$1,234.57"),
    ],
)
def test_dollars(given, said):
    assert dollars(given) == said


def test_counts():
    assert (count(None), count(0), count(1_234_567)) == (ABSENT, "0", "1,234,567")
