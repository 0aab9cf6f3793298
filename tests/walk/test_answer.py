"""An answer as its client sees it: whole or as a stream, field by field and header by header."""

import re
from uuid import UUID

import httpx
import pytest

from tests.harness.chat import ask, stream

FIELDS = {
    "id",
    "conversationId",
    "response",
    "model",
    "stopReason",
    "toolsCalled",
    "usage",
    "cost",
    "traceId",
}
COUNTS = {"inputTokens", "outputTokens", "totalTokens", "cacheReadTokens", "cacheWriteTokens"}
CONVERSATION = "0198c3a4-0000-7000-8000-000000000001"


def streamed(response: httpx.Response) -> bool:
    return response.headers["content-type"].startswith("text/event-stream")


def test_an_answer_has_exactly_the_fields_of_the_contract(service):
    response = ask(service, "Hello")
    answer = response.json()
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert set(answer) == FIELDS
    assert set(answer["usage"]) == COUNTS
    assert answer["response"].startswith("You said: Hello")
    assert (answer["model"], answer["stopReason"], answer["toolsCalled"]) == (
        "claude-sonnet-5-5",
        "end_turn",
        [],
    )


def test_ids_are_what_they_say(service):
    answer = ask(service, "Hello").json()
    assert UUID(answer["id"]).version == 7
    assert UUID(answer["conversationId"]).version == 7
    assert re.fullmatch("[0-9a-f]{32}", answer["traceId"])


def test_tokens_add_up_and_cost_is_whole_micro_dollars(service):
    answer = ask(service, "Hello").json()
    usage = answer["usage"]
    assert usage["inputTokens"] > 0
    assert usage["outputTokens"] > 0
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]
    assert usage["cacheReadTokens"] + usage["cacheWriteTokens"] <= usage["inputTokens"]
    assert answer["cost"] > 0
    assert answer["cost"] == round(answer["cost"] * 1_000_000) / 1_000_000


def test_every_answer_names_the_request_and_may_not_be_stored(service):
    answers = {
        200: ask(service, "Hello"),
        400: ask(service, ""),
        401: ask(service, "Hello", key=""),
        404: httpx.get(f"{service.url}/nowhere", trust_env=False),
        405: httpx.get(f"{service.url}/api/v1/agent/chat", trust_env=False),
        413: ask(service, "x" * (1 << 20)),
        500: ask(service, "[sim:400]"),
    }
    for status, response in answers.items():
        assert response.status_code == status
        assert UUID(response.headers["x-request-id"]).version == 7
        assert re.fullmatch("[0-9a-f]{32}", response.headers["x-trace-id"])
        assert response.headers["cache-control"] == "no-store"
        assert "server" not in response.headers


def test_the_headers_are_the_answers_own_ids(service):
    response = ask(service, "Hello")
    assert response.headers["x-request-id"] == response.json()["id"]
    assert response.headers["x-trace-id"] == response.json()["traceId"]


@pytest.mark.parametrize(
    ("given", "kept"), [("order-7/a.b:c=d+e", "order-7/a.b:c=d+e"), ("two words", None), ("x" * 129, None)]
)
def test_a_well_formed_request_id_is_kept_as_the_clients_own(service, given, kept):
    response = ask(service, "Hello", headers={"X-Request-Id": given})
    (row,) = service.wait_for_rows(entityId=response.json()["id"])
    assert response.headers["x-request-id"] == response.json()["id"] != given
    assert row["metadata"]["clientRequestId"] == kept


def test_an_admitted_answer_says_how_its_caller_stands(service):
    response = ask(service, "Hello")
    assert response.headers["ratelimit-policy"] == '"role";q=1000;w=60'
    assert re.fullmatch(r'"role";r=\d+;t=\d+', response.headers["ratelimit"])


def test_a_stream_tells_turn_tools_text_and_done_in_order(service):
    with stream(service, "What is 12*7? [sim:tool]") as answer:
        events = answer.rest()
    assert answer.response.status_code == 200
    assert streamed(answer.response)
    names = [event.event for event in events]
    texts = names.count("text")
    assert texts > 1
    assert names == ["turn", "tool", "tool", *["text"] * texts, "done"]
    assert [event.id for event in events] == [str(number) for number in range(1, len(events) + 1)]


def test_a_stream_has_the_same_headers_and_ids(service):
    with stream(service, "Hello") as answer:
        turn, *_, done = answer.rest()
    headers = answer.response.headers
    assert set(turn.data) == {"id", "conversationId", "model", "traceId"}
    assert turn.data.items() <= done.data.items()
    assert headers["x-request-id"] == turn.data["id"]
    assert headers["x-trace-id"] == turn.data["traceId"]
    assert headers["cache-control"] == "no-store"
    assert headers["ratelimit-policy"] == '"role";q=1000;w=60'


def test_done_is_the_json_answer_without_its_text(service):
    whole = ask(service, "What is 12*7?").json()
    with stream(service, "What is 12*7?") as answer:
        events = answer.rest()
    done = events[-1].data
    assert set(done) == FIELDS - {"response"}
    assert "".join(event.data["text"] for event in events if event.event == "text") == whole["response"]
    assert (done["toolsCalled"], done["stopReason"], done["usage"]["outputTokens"]) == (
        whole["toolsCalled"],
        whole["stopReason"],
        whole["usage"]["outputTokens"],
    )


def test_each_tool_call_starts_and_finishes_in_the_stream(service):
    with stream(service, "What is 12*7? And what time is it? [sim:tools3]") as answer:
        tools = [event.data for event in answer.rest() if event.event == "tool"]
    for call_id in {tool["id"] for tool in tools}:  # calls of one round run beside each other
        assert [tool["status"] for tool in tools if tool["id"] == call_id] == ["started", "finished"]
    assert all(set(tool) == {"id", "name", "status", "milliseconds"} for tool in tools)
    assert len({tool["id"] for tool in tools}) == 3


def test_tools_called_are_distinct_and_in_the_order_of_their_first_call(service):
    message = "What is 12*7? And what time is it? [sim:tools3]"
    with stream(service, message) as answer:
        events = answer.rest()
    tools = [event.data for event in events if event.event == "tool"]
    called = [tool["name"] for tool in tools if tool["status"] == "started"]
    assert sorted(called) == ["calculate", "calculate", "current_time"]
    assert events[-1].data["toolsCalled"] == list(dict.fromkeys(called))
    assert ask(service, message).json()["toolsCalled"] == list(dict.fromkeys(called))


def test_a_failed_tool_is_told_as_failed_and_the_turn_goes_on(service):
    with stream(service, "What is 1/0?") as answer:
        events = answer.rest()
    assert [event.data["status"] for event in events if event.event == "tool"] == ["started", "failed"]
    assert events[-1].event == "done"


@pytest.mark.parametrize(
    ("accept", "wanted", "expected"),
    [
        ("text/event-stream", None, True),
        ("application/json, text/event-stream;q=0.5", None, True),
        ("text/event-stream", False, False),
        ("application/json", True, True),
        ("*/*", None, False),
        ("application/json", None, False),
    ],
)
def test_the_body_decides_and_accept_where_it_is_silent(service, accept, wanted, expected):
    extra = {} if wanted is None else {"stream": wanted}
    response = ask(service, "Hello", headers={"Accept": accept}, **extra)
    assert response.status_code == 200
    assert streamed(response) is expected


@pytest.mark.parametrize("extra", [{"stream": True}, {}])
def test_with_streaming_off_every_answer_is_json(bare, extra):
    response = ask(bare, "Hello", headers={"Accept": "text/event-stream"}, **extra)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert set(response.json()) == FIELDS


def test_the_named_model_answers_and_is_priced(service):
    named = ask(service, "Hello", model="claude-haiku-5-5").json()
    assert named["model"] == "claude-haiku-5-5"
    assert 0 < named["cost"] < ask(service, "Hello").json()["cost"]


def test_the_answer_is_no_longer_than_allowed(service):
    answer = ask(service, "Hello", maxTokens=3).json()
    assert answer["usage"]["outputTokens"] == 3
    assert answer["stopReason"] == "max_tokens"


@pytest.mark.parametrize("how", ["json", "stream"])
def test_the_conversation_is_the_one_that_was_named(service, how):
    if how == "json":
        told = ask(service, "Hello", conversationId=CONVERSATION).json()
    else:
        with stream(service, "Hello", conversationId=CONVERSATION) as answer:
            told = answer.until("turn").data
            answer.rest()
    assert told["conversationId"] == CONVERSATION


def test_two_turns_have_nothing_in_common(service):
    one, two = ask(service, "Hello").json(), ask(service, "Hello").json()
    assert all(one[name] != two[name] for name in ("id", "conversationId", "traceId"))


def test_text_of_every_script_arrives_as_it_was_sent(service):
    message = 'Grüße 你好 \u202e \U0001f9ea \x07 \\ " </script>\u2028'
    assert message.split()[1] in ask(service, message).json()["response"]
    with stream(service, message) as answer:
        events = answer.rest()
    spoken = "".join(event.data["text"] for event in events if event.event == "text")
    assert spoken == ask(service, message).json()["response"]


def test_several_streams_at_once_do_not_mix(service):
    words = ["alpha", "bravo", "charlie"]
    answers = [stream(service, f"{word} [sim:slow:20]") for word in words]
    try:
        for word, answer in zip(words, answers, strict=True):
            spoken = "".join(event.data["text"] for event in answer.rest() if event.event == "text")
            assert spoken.startswith(f"You said: {word}")
    finally:
        for answer in answers:
            answer.close()
