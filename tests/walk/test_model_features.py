"""Thinking and counted prompts over the real service."""

import pytest

from tests.conftest import MANY, SOON
from tests.harness.chat import ask, stream
from tests.harness.service import Service
from tests.harness.tree import tree
from tests.walk.test_conversations import call

MODEL = "claude-sonnet-5-5"
LARGE = "A long question, word by word. " * 400
COUNTED = f"""\
POST /api/v1/agent/chat SERVER
  invoke_agent parley INTERNAL
    count_tokens {MODEL} CLIENT
    chat {MODEL} CLIENT"""


@pytest.fixture(scope="module")
def counting(tmp_path_factory, receiver):
    """A service that has prompts of a few thousand tokens counted, and keeps a budget."""
    wanted = {
        "AGENT_COUNT_TOKENS_ABOVE": "2000",
        "AGENT_BUDGET_USER_DAY_USD": "100",
        "AGENT_MAX_TOKENS": "500",
    }
    with Service(tmp_path_factory.mktemp("counting"), receiver.settings() | SOON | MANY | wanted) as service:
        yield service


def metadata(service, turn_id):
    (row,) = service.wait_for_rows(entityId=turn_id)
    return row["metadata"]


def test_a_large_prompt_is_counted_in_a_span_of_its_own(counting, receiver):
    turn = ask(counting, LARGE).json()
    spans = receiver.wait_for_trace(turn["traceId"])
    assert tree(spans, turn["traceId"]) == COUNTED
    (span,) = (each for each in spans if each.name == f"count_tokens {MODEL}")
    told = metadata(counting, turn["id"])["tokenCount"]
    assert (told["tokens"], told["code"]) == (turn["usage"]["inputTokens"], None)
    assert span.attributes["parley.prompt.counted_tokens"] == told["tokens"]
    assert told["milliseconds"] >= 0


def test_it_reserves_less(counting, start_service):
    plain = start_service(
        AGENT_COUNT_TOKENS_ABOVE="0", AGENT_BUDGET_USER_DAY_USD="100", AGENT_MAX_TOKENS="500"
    )
    reserved = [
        metadata(each, ask(each, LARGE).json()["id"])["budget"]["reservedMicros"]
        for each in (counting, plain)
    ]
    assert reserved[0] < reserved[1] * 0.6


def test_a_small_prompt_is_not_counted(counting):
    assert "tokenCount" not in metadata(counting, ask(counting, "hello").json()["id"])


def test_thinking_comes_as_events_of_its_own(service):
    with stream(service, "How are you?", thinking=True) as answer:
        events = answer.rest()
    thought = "".join(each.data["text"] for each in events if each.event == "thinking")
    text = "".join(each.data["text"] for each in events if each.event == "text")
    assert thought.startswith("The question is: How are you?")
    assert text.startswith("You said")
    assert [each.event for each in events][:2] == ["turn", "thinking"]
    assert "thinking" not in events[-1].data
    assert metadata(service, events[-1].data["id"])["responseLength"] == len(text)


def test_thinking_comes_with_a_whole_answer(service):
    asked, plain = ask(service, "How are you?", thinking=True).json(), ask(service, "How are you?").json()
    assert asked["thinking"].startswith("The question is")
    assert (asked["response"], "thinking" in plain) == (plain["response"], False)
    assert asked["usage"]["outputTokens"] > plain["usage"]["outputTokens"]


def test_no_signal_and_no_listing_has_the_thinking(service):
    turn = ask(service, "How are you?", thinking=True).json()
    words = "So much for that; now the answer."
    assert words in turn["thinking"]
    (row,) = service.wait_for_rows(entityId=turn["id"])
    service.wait_for_line(type="agent_query_completed", requestId=turn["id"])
    shown = call(service, "GET", f"/{turn['conversationId']}").text
    assert not any(words in told for told in (repr(row), repr(service.lines()), shown))


def test_a_second_turn_gives_the_thinking_back_unaltered(service):
    """The simulator refuses thinking that was altered."""
    first = ask(service, "What is 12*7? [sim:tool]", thinking=True).json()
    second = ask(service, "And now?", thinking=True, conversationId=first["conversationId"])
    third = ask(service, "And now?", conversationId=first["conversationId"], model="claude-opus-5-5")
    assert [second.status_code, third.status_code] == [200, 200]


def test_an_answer_is_given_again_with_its_thinking(service):
    headers = {"Idempotency-Key": "thinking-once"}
    first, again = (ask(service, "How are you?", thinking=True, headers=headers).json() for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"thinking": True, "thinkingBudgetTokens": 2_000}, "thinkingBudgetTokens"),
        ({"thinkingBudgetTokens": 2_000}, "thinkingBudgetTokens"),
        ({"thinking": True, "thinkingBudgetTokens": 1_023}, "thinkingBudgetTokens"),
        ({"thinking": True, "thinkingBudgetTokens": 4_096}, "thinkingBudgetTokens"),
        ({"thinking": "yes"}, "thinking"),
    ],
    ids=["adaptive", "alone", "little", "much", "word"],
)
def test_what_cannot_be_asked_for_is_refused_by_name(service, body, field):
    refused = ask(service, "hello", **body)
    assert refused.status_code == 400
    assert field in {each["field"] for each in refused.json()["errors"]}


def test_where_thinking_is_off_it_is_refused(start_service):
    service = start_service(AGENT_THINKING="off")
    refused = ask(service, "hello", thinking=True)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "thinking")
    assert ask(service, "hello").status_code == 200
