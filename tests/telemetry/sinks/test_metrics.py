from threading import Event

import pytest

from config.settings import ROLES, Budgets, Limits, Settings
from telemetry import names
from telemetry.failure import Code, Failure
from telemetry.record import ToolOutcome, Usage
from telemetry.sinks import metrics as sinks_metrics
from telemetry.sinks.metrics import Labels, MetricSink, points, policies, zeros
from tests.harness.records import (
    CALLER,
    LIMIT,
    a_model_call,
    a_tool_call,
    an_opening,
    answered,
    failed,
    refused,
)
from tests.harness.sdk import Counted, series

MODEL = "claude-sonnet-5-5"
DECISIONS = names.RATE_LIMIT_DECISIONS
LABELS = Labels(frozenset({"CFO", "AUDITEE"}), frozenset({MODEL}))


def told(record, name: str) -> list[tuple[float, dict]]:
    return [(point.value, dict(point.labels)) for point in points(record, LABELS) if point.name == name]


def test_an_answer():
    record = answered()
    assert told(record, names.TURNS) == [(1, {"outcome": "answered"})]
    assert told(record, names.ERRORS) == []
    assert told(record, names.RATE_LIMIT_DECISIONS) == [
        (1, {"decision": "allowed", "policy": "role", "role": "AUDITEE"})
    ]
    assert (
        told(record, names.TOKENS)
        == [
            (100, {"direction": "input", "model": MODEL}),
            (20, {"direction": "output", "model": MODEL}),
        ]
        * 2
    )
    assert told(record, names.COST_TOTAL) == [(0.0006, {"model": MODEL, "role": "AUDITEE"})] * 2
    assert told(record, names.TURN_DURATION) == [
        (1.2345, {names.OPERATION: "invoke_agent", names.AGENT_NAME: "parley", names.REQUEST_MODEL: MODEL})
    ]
    assert told(record, names.TOOL_DURATION) == [
        (0.01, {names.OPERATION: "execute_tool", names.TOOL_NAME: "calculate"})
    ]
    chat = {names.OPERATION: "chat", names.PROVIDER_NAME: "anthropic", names.REQUEST_MODEL: MODEL}
    assert told(record, names.MODEL_DURATION) == [(0.5, chat)] * 2
    assert told(record, names.MODEL_FIRST_CHUNK) == [(0.2, chat)] * 2
    assert (
        told(record, names.MODEL_TOKENS)
        == [
            (100, chat | {names.TOKEN_TYPE: "input"}),
            (20, chat | {names.TOKEN_TYPE: "output"}),
        ]
        * 2
    )


def test_a_failure_is_named_wherever_a_duration_is():
    record = failed()
    assert told(record, names.ERRORS) == [(1, {"category": "agent_service", "fault": "provider"})]
    for name in (names.TURN_DURATION, names.MODEL_DURATION):
        ((_, labels),) = told(record, name)
        assert labels[names.ERROR_TYPE] == "upstream_error"


def test_a_refusal_counts_and_takes_no_time_of_the_model():
    record = refused()
    assert [point.name for point in points(record, LABELS)] == [
        names.TURNS,
        names.ERRORS,
        names.RATE_LIMIT_DECISIONS,
    ]


def test_a_call_that_said_nothing_has_no_first_chunk_and_no_token_histogram():
    call = a_model_call(first_chunk_seconds=None, usage=Usage(), cost_micros=0)
    record = answered(model_calls=(call,))
    assert told(record, names.MODEL_FIRST_CHUNK) == told(record, names.MODEL_TOKENS) == []
    assert [value for value, _ in told(record, names.TOKENS)] == [0, 0]


@pytest.mark.parametrize("role", ["SALES", "cfo", "", "CFO "])
def test_a_role_outside_the_table_is_other(role):
    from msgspec import structs

    record = answered(opening=an_opening(caller=structs.replace(CALLER, role=role)))
    assert {labels["role"] for _, labels in told(record, names.COST_TOTAL)} == {"other"}
    assert {labels["role"] for _, labels in told(record, names.RATE_LIMIT_DECISIONS)} == {"other"}


def test_a_model_outside_the_table_is_other():
    record = answered(opening=an_opening(model="theirs"), model_calls=(a_model_call(model="theirs"),))
    for name in (names.TOKENS, names.COST_TOTAL):
        assert {labels["model"] for _, labels in told(record, name)} == {"other"}
    for name in (names.MODEL_DURATION, names.MODEL_TOKENS, names.TURN_DURATION):
        assert {labels[names.REQUEST_MODEL] for _, labels in told(record, name)} == {"other"}


def test_a_tool_that_the_model_made_up_is_other():
    unknown = Failure(code=Code.NOT_FOUND, error="ToolUnknown: no")
    call = a_tool_call(name="made-up-7f3a", outcome=ToolOutcome.FAILED, failure=unknown)
    ((_, labels),) = told(answered(tool_calls=(call,)), names.TOOL_DURATION)
    assert labels == {
        names.OPERATION: "execute_tool",
        names.TOOL_NAME: "other",
        names.ERROR_TYPE: "not_found",
    }


def test_a_tool_that_failed_keeps_its_name():
    call = a_tool_call(outcome=ToolOutcome.FAILED, failure=Failure(code=Code.INTERNAL))
    ((_, labels),) = told(answered(tool_calls=(call,)), names.TOOL_DURATION)
    assert (labels[names.TOOL_NAME], labels[names.ERROR_TYPE]) == ("calculate", "internal")


@pytest.mark.parametrize("outcome", ToolOutcome)
def test_calls_of_tools_are_counted_by_what_became_of_them(outcome):
    record = answered(tool_calls=(a_tool_call(source="built_in", outcome=outcome),) * 2)
    assert told(record, names.TOOL_CALLS) == [(1, {"tool": "calculate", "outcome": outcome.value})] * 2


def test_known_tools_are_there_from_the_start():
    sink = MetricSink(Settings())
    there = {
        (point.labels["tool"], point.labels["outcome"])
        for point in zeros(sink.labels)
        if point.name == names.TOOL_CALLS
    }
    named = (*Settings().tools.names, "other")
    assert there == {(tool, outcome.value) for tool in named for outcome in ToolOutcome}


def test_a_decision_over_somebody_unknown_is_of_no_role_and_none_is_none():
    record = refused(Code.RATE_LIMITED, opening=an_opening(caller=None, rate_limit=LIMIT))
    ((labels, value),) = [
        (point.labels, point.value) for point in points(record, LABELS) if point.name == DECISIONS
    ]
    assert (labels["role"], value) == ("other", 1)
    record = refused(Code.UNAUTHENTICATED, opening=an_opening(caller=None, rate_limit=None))
    assert told(record, names.RATE_LIMIT_DECISIONS) == []


def test_zeros_are_zero_and_each_series_once():
    made = list(zeros(LABELS))
    assert {point.value for point in made} == {0}
    keys = [(point.name, *sorted(point.labels.items())) for point in made]
    assert len(keys) == len(set(keys))


async def test_a_started_sink_has_every_known_series_and_counts_turns():
    settings = Settings(limits=Limits(roles=dict(ROLES) | {"METERED": 5}))
    turns = Counted(names.TURNS, outcome="answered")
    tokens = Counted(names.TOKENS, direction="input", model=MODEL)
    cost = Counted(names.COST_TOTAL, model=MODEL, role="AUDITEE")
    active = Counted(names.TURNS_ACTIVE)
    sink, record = MetricSink(settings), answered()
    await sink.start()
    fresh = [
        labels
        for labels, point in series(names.COST_TOTAL)
        if labels["role"] == "METERED" and point.value == 0
    ]
    assert {labels["model"] for labels in fresh} == set(settings.model.names)
    sink.opened(record.opening)
    assert active() == 1
    sink.closed(record)
    await sink.stop()
    assert (turns(), tokens(), active()) == (1, 200, 0)
    assert cost() == pytest.approx(0.0012)


async def test_a_turn_that_never_opened_was_never_active():
    sink, active = MetricSink(Settings()), Counted(names.TURNS_ACTIVE)
    await sink.start()
    sink.closed(refused())
    assert active() == 0


def test_a_turn_ends_being_active_once():
    sink, active, record = MetricSink(Settings()), Counted(names.TURNS_ACTIVE), answered()
    sink.opened(record.opening)
    sink.closed(record)
    sink.closed(record)
    assert active() == 0


def test_where_nobody_takes_metrics_nothing_is_put_together(monkeypatch):
    nobody = Event()
    monkeypatch.setattr(sinks_metrics, "NOBODY", nobody)
    sink, turns, record = MetricSink(Settings()), Counted(names.TURNS), answered()
    active = Counted(names.TURNS_ACTIVE)
    nobody.set()
    sink.opened(record.opening)
    assert active() == 0
    sink.closed(record)
    assert turns() == 0
    nobody.clear()
    sink.closed(record)
    assert turns() == 1


def test_durations_fall_into_the_conventions_buckets():
    sink = MetricSink(Settings())
    sink.closed(answered())
    expected = {
        names.MODEL_DURATION: names.SECONDS_BUCKETS,
        names.MODEL_TOKENS: names.TOKEN_BUCKETS,
        names.TURN_DURATION: names.TURN_BUCKETS,
    }
    assert {name: series(name)[0][1].explicit_bounds for name in expected} == expected
    assert names.TOKEN_BUCKETS[-1] == 67_108_864


def test_every_policy_that_is_set_has_its_series_from_the_start():
    none = Limits()
    assert policies(none) == ("concurrency",)
    some = Limits(
        address=1, tenant=1, models={"m": 1}, tokens_per_minute=5, budgets=Budgets(user_day=1, role_month=1)
    )
    assert policies(some) == (
        *("address", "tenant", "model", "tokens", "concurrency"),
        *("budget_user_day", "budget_role_month"),
    )
    labels = Labels(frozenset({"CFO"}), frozenset({MODEL}), policies(some))
    made = [point.labels for point in zeros(labels) if point.name == "parley.rate_limit.decisions"]
    assert len(made) == len({tuple(sorted(each.items())) for each in made}) == (3 + 2 * 7) * 2
    assert {"decision": "denied", "policy": "budget_user_day", "role": "other"} in made
