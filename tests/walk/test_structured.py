"""Answers in JSON by a schema of the caller's: whole, streamed, after tools, again, and what does not fit."""

import pytest

from tests.harness.chat import ask, stream
from tests.harness.telling import told

SCHEMA = {
    "type": "object",
    "properties": {
        "count": {"type": "integer"},
        "unit": {"type": ["string", "null"]},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}, "minItems": 1},
    },
    "required": ["count", "parts"],
    "additionalProperties": False,
    "$defs": {
        "part": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
            "additionalProperties": False,
        }
    },
}
FORMAT = {"type": "json_schema", "schema": SCHEMA}
VALUE = {"count": 1, "parts": [{"name": "example"}]}


def test_the_value_stands_beside_the_text(service):
    answer = ask(service, "How many?", responseFormat=FORMAT).json()
    assert answer["structured"] == VALUE
    assert answer["response"].startswith('{"count":1')
    assert list(answer)[:4] == ["id", "conversationId", "response", "structured"]


def test_without_a_format_there_is_none(service):
    assert "structured" not in ask(service, "How many?").json()


def test_a_stream_streams_the_text_and_ends_with_the_value(service):
    with stream(service, "How many?", responseFormat=FORMAT) as streamed:
        events = streamed.rest()
    assert events[-1].event == "done"
    assert events[-1].data["structured"] == VALUE
    assert "response" not in events[-1].data


def test_after_a_tool_the_value_is_that_of_the_last_words(service):
    answer = ask(service, "How many? [sim:tool]", responseFormat=FORMAT).json()
    assert (answer["toolsCalled"], answer["structured"]) == (["calculate"], VALUE)


def test_the_same_again_has_the_same_value(service):
    headers = {"Idempotency-Key": "structured-1"}
    first = ask(service, "How many?", headers=headers, responseFormat=FORMAT)
    again = ask(service, "How many?", headers=headers, responseFormat=FORMAT)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    assert again.json()["structured"] == VALUE


@pytest.mark.parametrize(
    ("message", "more", "why"),
    [
        ("[sim:bad-schema]", {}, "does not fit `responseFormat.schema` at $ by its `type`"),
        ("[sim:refuse]", {}, "The model refused to answer."),
        ("How many?", {"maxTokens": 2}, "cut off by its length"),
    ],
)
def test_what_does_not_fit_is_a_failure_that_is_recorded_and_paid(service, receiver, message, more, why):
    problem = ask(service, message, responseFormat=FORMAT, **more).json()
    assert (problem["status"], problem["code"]) == (500, "upstream_error")
    assert (problem["category"], problem["fault"]) == ("agent_service", "provider")
    assert why in problem["detail"]
    turn = told(service, receiver, problem["requestId"])
    assert (turn.row["outcome"], turn.row["code"]) == ("failed", "upstream_error")
    assert turn.row["costMicros"] > 0
    assert turn.line["type"] == "agent_query_failed"
    assert len(turn.errors) == 1


def test_a_stream_that_does_not_fit_ends_with_an_error(service):
    with stream(service, "[sim:bad-schema]", responseFormat=FORMAT) as streamed:
        events = streamed.rest()
    assert [events[0].event, events[-1].event] == ["turn", "error"]
    assert events[-1].data["code"] == "upstream_error"


def test_a_turn_that_did_not_fit_is_no_part_of_its_conversation(service):
    first = ask(service, "Hello").json()
    ask(service, "[sim:bad-schema]", responseFormat=FORMAT, conversationId=first["conversationId"])
    again = ask(service, "And now?", conversationId=first["conversationId"])
    assert again.status_code == 200


def test_what_is_wrong_with_a_format_is_named_with_all_that_is_wrong(service):
    pattern = SCHEMA | {"properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}, "required": []}
    problem = ask(service, "", responseFormat={"type": "json_schema", "schema": pattern}).json()
    assert {error["field"]: error["message"] for error in problem["errors"]} == {
        "message": "Expected `str` of length >= 1",
        "responseFormat.schema": "pattern is not checked here at $.properties.a",
    }
    for wrong in ({"type": "text"}, {"type": "json_schema"}, FORMAT | {"strict": True}, "json"):
        problem = ask(service, "Hello", responseFormat=wrong).json()
        assert [error["field"] for error in problem["errors"]] == ["responseFormat"]
