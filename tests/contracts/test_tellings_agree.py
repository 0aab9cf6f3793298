"""One record, many tellings: whoever asks any of them hears the same."""

import re
from collections import defaultdict
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings

from service.audit.row import metadata, row_of
from service.web import answer
from telemetry import names, spans
from telemetry.record import Outcome
from telemetry.sinks import logs
from telemetry.sinks.metrics import Labels, points, zeros
from tests.harness.records import CANARY, MODEL_CALLS, RECORDS, TOOL_CALLS

ROLES, MODELS = {"CFO", "AUDITEE", "GUEST"}, {"claude-sonnet-5-5", "claude-haiku-5-5"}
TOOLS = ("calculate", "current_time", "search")
LABELS = Labels(frozenset(ROLES), frozenset(MODELS), tools=TOOLS)
ENDINGS = {names.COMPLETED, names.FAILED, names.REFUSED, names.RATE_LIMITED, names.DENIED}
WHOLE = {names.COMPLETED, names.FAILED, names.REFUSED}
"""Types of lines that tell a turn's numbers."""

SOURCE = Path(names.__file__).read_text()
KNOWN = {value for value in vars(names).values() if isinstance(value, str)}
LABELLED = {
    name: set(keys.split(", "))
    for name, keys in re.findall(r'^[A-Z_]+ = "(parley\.[a-z._]+)"  # \{([a-z, ]+)\}', SOURCE, re.MULTILINE)
}
"""Metric -> its attribute keys: the words in braces in names.py."""

CLOSED = {
    "role": ROLES | {"other"},
    "model": MODELS | {"other"},
    names.REQUEST_MODEL: MODELS | {"other"},
    "policy": {"role"},
    "direction": {"input", "output"},
    names.TOOL_NAME: {"calculate", "current_time", "search", "other"},
}

any_record = settings(deadline=None, max_examples=50)(given(RECORDS))


def summed(record, name: str, **labels: str) -> float:
    return sum(
        point.value
        for point in points(record, LABELS)
        if point.name == name and labels.items() <= point.labels.items()
    )


@any_record
def test_tokens(record):
    span, row, told = spans.of_turn(record), row_of(record), metadata(record)["usage"]
    tokens = [
        (span[names.INPUT_TOKENS], span[names.OUTPUT_TOKENS]),
        (row.input_tokens, row.output_tokens),
        (told["inputTokens"], told["outputTokens"]),
        (summed(record, names.TOKENS, direction="input"), summed(record, names.TOKENS, direction="output")),
        (
            summed(record, names.MODEL_TOKENS, **{names.TOKEN_TYPE: "input"}),
            summed(record, names.MODEL_TOKENS, **{names.TOKEN_TYPE: "output"}),
        ),
        (answer.done(record)["usage"]["inputTokens"], answer.done(record)["usage"]["outputTokens"]),
    ]
    line = logs.ending(record)
    if line.type in WHOLE:
        tokens.append((line.fields["tokens"]["input"], line.fields["tokens"]["output"]))
        assert line.fields["tokens"]["total"] == told["totalTokens"]
    assert len(set(tokens)) == 1
    assert told == answer.done(record)["usage"]
    assert told["totalTokens"] == told["inputTokens"] + told["outputTokens"]
    cached = (told["cacheReadTokens"], told["cacheWriteTokens"])
    assert cached == (span[names.CACHE_READ_TOKENS], span[names.CACHE_WRITE_TOKENS])


@any_record
def test_cost(record):
    micros = spans.of_turn(record)[names.COST]
    assert row_of(record).cost_micros == micros
    assert metadata(record)["cost"] == answer.done(record)["cost"] == micros / 1_000_000
    assert summed(record, names.COST_TOTAL) == pytest.approx(micros / 1_000_000)
    if (line := logs.ending(record)).type in WHOLE:
        assert line.fields["cost"] == micros / 1_000_000


@any_record
def test_tools(record):
    tools = list(spans.of_turn(record)[names.TOOLS_CALLED])
    assert list(metadata(record)["toolsCalled"]) == list(answer.done(record)["toolsCalled"]) == tools
    assert list(dict.fromkeys(call["name"] for call in metadata(record)["toolCalls"])) == tools
    if (line := logs.ending(record)).type in WHOLE:
        assert line.fields["toolsCalled"] == tools


@any_record
def test_outcome_and_time(record):
    outcome, row = spans.of_turn(record)[names.TURN_OUTCOME], row_of(record)
    assert spans.of_server(record)[names.TURN_OUTCOME] == outcome
    assert row.outcome == metadata(record)["outcome"] == outcome
    assert (row.action == "REFUSED") == (outcome == "refused")
    assert {each.value: summed(record, names.TURNS, outcome=each.value) for each in Outcome} == dict.fromkeys(
        Outcome, 0
    ) | {outcome: 1}
    assert row.response_time_ms == metadata(record)["responseTime"]
    if (line := logs.ending(record)).type in WHOLE:
        assert (line.fields["outcome"], line.fields["responseTime"]) == (outcome, row.response_time_ms)


@any_record
def test_category_and_code(record):
    span, row, line = spans.of_turn(record), row_of(record), logs.ending(record)
    told = (span.get(names.ERROR_CATEGORY), span.get(names.ERROR_CODE))
    assert (row.category, row.code) == told
    assert (metadata(record)["category"], metadata(record)["code"]) == told
    assert (line.fields.get("category"), line.fields.get("code")) == told
    server = spans.of_server(record)
    assert (server.get(names.ERROR_CATEGORY), server.get(names.ERROR_CODE)) == told
    errors = [point.labels["category"] for point in points(record, LABELS) if point.name == names.ERRORS]
    assert errors == ([told[0]] if told[0] else [])


@any_record
def test_ids(record):
    row, told, done = row_of(record), metadata(record), answer.done(record)
    opening, span = record.opening, spans.of_turn(record)
    assert {span[names.TURN_ID], span[names.AUDIT_ID], row.id, row.entity_id, row.request_id} == {
        opening.turn_id
    }
    assert told["requestId"] == done["id"] == spans.of_server(record)[names.TURN_ID] == opening.turn_id
    assert row.trace_id == told["traceId"] == done["traceId"] == opening.trace_id
    assert span.get(names.CONVERSATION_ID) == told["conversationId"] == done["conversationId"]


@any_record
def test_who_and_which_model(record):
    row, span, told = row_of(record), spans.of_turn(record), metadata(record)
    assert (row.role, row.model) == (told["role"], told["model"])
    assert list(span.get(names.USER_ROLES, ())) == ([row.role] if record.opening.caller else [])
    assert row.model == answer.done(record)["model"] == logs.completed(record)["model"] == record.model
    assert span.get(names.REQUEST_MODEL) == told.get("askedModel", row.model) == record.opening.model
    assert told["usageSource"] == logs.completed(record)["usageSource"] == span[names.USAGE_SOURCE]
    assert "user:" not in str(span)
    assert logs.ending(record).pseudonym == span.get(names.USER_PSEUDONYM)
    assert logs.ending(record).fields["userId"] == row.actor_id


@any_record
def test_the_limiters_word(record):
    span, told = spans.of_turn(record), metadata(record)["rateLimit"] or {}
    assert span.get(names.LIMIT_DECISION) == told.get("decision")
    assert span.get(names.LIMIT_REMAINING) == told.get("remaining")
    assert span.get(names.LIMIT_RETRY_AFTER) == told.get("retryAfterMs")
    assert span.get(names.LIMIT_STORE) == told.get("store")
    assert summed(record, names.RATE_LIMIT_DECISIONS) == bool(told)


@any_record
def test_exactly_one_line_says_how_the_turn_ended(record):
    types = [line.type for line in logs.lines(record)]
    assert [kind for kind in types if kind in ENDINGS] == types[-1:]
    assert types[:-1] == [names.ERROR] * len(record.errors)


@any_record
def test_no_content_is_on_a_span_a_metric_or_in_metadata(record):
    told = [
        spans.of_turn(record),
        spans.of_server(record),
        [point.labels for point in points(record, LABELS)],
    ]
    assert CANARY not in str(told)
    row = row_of(record)
    assert CANARY not in row.metadata
    assert row.query == record.opening.query


@any_record
def test_metadata_is_the_same_json_every_time(record):
    row = row_of(record)
    assert row == row_of(record)
    assert msgspec.json.decode(row.metadata) == msgspec.json.decode(msgspec.json.encode(metadata(record)))


@any_record
def test_every_name_emitted_is_on_the_page(record):
    assert {line.type for line in logs.lines(record)} <= set(names.LOG_TYPES)
    assert set(spans.of_turn(record)) | set(spans.of_server(record)) <= KNOWN
    for point in (*points(record, LABELS), *zeros(LABELS)):
        assert point.name in KNOWN
        keys = set(point.labels)
        assert keys == LABELLED[point.name] if point.name.startswith("parley.") else keys <= KNOWN


@settings(deadline=None)
@given(MODEL_CALLS, TOOL_CALLS)
def test_every_name_on_the_span_of_a_step_is_on_the_page(model_call, tool_call):
    assert set(spans.of_model_call(model_call)) | set(spans.of_tool_call(tool_call)) <= KNOWN


@any_record
def test_labels_are_closed(record):
    for point in points(record, LABELS):
        for key, value in point.labels.items():
            assert key not in CLOSED or value in CLOSED[key], (point.name, key, value)
        assert record.opening.turn_id not in point.labels.values()


@any_record
def test_every_known_series_of_a_counter_was_there_at_zero(record):
    created = defaultdict(set)
    for point in zeros(LABELS):
        created[point.name].add(frozenset(point.labels.items()))
    for point in points(record, LABELS):
        if point.name in created and point.labels.get("model") != "other":
            assert frozenset(point.labels.items()) in created[point.name], point


def test_every_counter_of_a_turn_has_zeros():
    assert {point.name for point in zeros(LABELS)} == {
        names.TURNS, names.ERRORS, names.RATE_LIMIT_DECISIONS, names.TOKENS, names.COST_TOTAL,
        names.MODEL_RETRIES, names.COST_UNCACHED, names.APPROVALS, names.TOOL_CALLS,
    }  # fmt: skip


def test_the_page_names_no_log_type_twice_and_forgets_none():
    types = [value for name, value in vars(names).items() if name.isupper() and value in names.LOG_TYPES]
    assert sorted(types) == sorted(names.LOG_TYPES)
    assert set(names.LOG_TYPES) >= ENDINGS | {names.ERROR}
