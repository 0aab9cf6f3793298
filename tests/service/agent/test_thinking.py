"""What the model thinks: shown to those who ask, kept out of everything else, given back unchanged."""

import pytest
from msgspec import structs

from service.agent.events import Text, Thought, ToolEnded
from service.agent.model import ContentBegan, Counted, Reply, TextPiece, Thinking, ThinkingPiece, ToolUse
from service.agent.upstream.anthropic import AnthropicModel
from service.agent.upstream.caching import arguments
from service.agent.upstream.scripted import USAGE, ScriptedModel, begin, say
from service.audit.row import row_of
from service.errors import InvalidRequest
from service.simulator import build
from telemetry.record import Outcome
from tests.harness.agent import QUESTION, FakeAsk, TurnHouse
from tests.harness.messages_api import prompt
from tests.harness.tools import built_in
from tests.upstream import serve

SHOWN = Thinking()
THOUGHT = {"type": "thinking", "thinking": "hmm", "signature": "s"}
HIDDEN = {"type": "redacted_thinking", "data": "opaque"}
CALL = {"type": "tool_use", "id": "c1", "name": "calculate", "input": {"expression": "6*7"}}


def thinks(*content, stop_reason="end_turn", uses=()):
    """An answer that thinks in two pieces, and has this content."""
    told = (ContentBegan(), ThinkingPiece("h"), ThinkingPiece("mm"), ContentBegan(), TextPiece("42"))
    reply = Reply(content=content, stop_reason=stop_reason, tool_uses=uses)
    return (*begin(), *told, Counted(USAGE), reply)


def asking(thinking=SHOWN, model=QUESTION.model, turn_id="turn-1", **changes):
    question = structs.replace(QUESTION, thinking=thinking, model=model, max_tokens=4_000, **changes)
    return FakeAsk(question, turn_id=turn_id)


async def test_those_who_ask_are_shown_it_apart_from_the_answer():
    house = TurnHouse(ScriptedModel(thinks(THOUGHT, {"type": "text", "text": "42"})))
    async with house.listening(asking()) as running:
        events = []
        while (event := await running.hear()) is not None:
            events.append(event)
        record = await running.ended()
        assert (running.channel.text, running.thinking) == ("42", "hmm")
        assert running.answer.thinking == "hmm"
    assert events[1:] == [Thought("h"), Thought("mm"), Text("42")]
    assert record.response_length == 2


async def test_nobody_else_is():
    house = TurnHouse(ScriptedModel(thinks(THOUGHT, {"type": "text", "text": "42"})))
    events, record = await house.whole(asking(thinking=None))
    assert events[1:] == [Text("42")]
    assert record.response_length == 2


async def test_the_row_does_not_have_it():
    thought = {"type": "thinking", "thinking": "CANARY", "signature": "s"}
    answer = (*begin(), ContentBegan(), ThinkingPiece("CANARY"), Counted(USAGE))
    house = TurnHouse(ScriptedModel((*answer, Reply(content=[thought], stop_reason="end_turn"))))
    _, record = await house.whole(asking())
    assert record.outcome is Outcome.ANSWERED
    assert "CANARY" not in repr(row_of(record))
    assert "CANARY" not in repr(record)


async def test_blocks_go_back_unchanged_in_the_round_and_in_later_turns():
    first = thinks(THOUGHT, HIDDEN, CALL, stop_reason="tool_use",
                   uses=[ToolUse("c1", "calculate", {"expression": "6*7"})])  # fmt: skip
    model = ScriptedModel(first, thinks(THOUGHT, {"type": "text", "text": "42"}), say("and more"))
    house = TurnHouse(model, built_in())
    events, _ = await house.whole(asking())
    assert any(isinstance(event, ToolEnded) for event in events)
    await house.whole(asking(turn_id="turn-2", continues=True))
    said = {"role": "assistant", "content": [THOUGHT, HIDDEN, CALL]}
    assert model.prompts[1].messages[1] == said
    told = [dict(each) for each in model.prompts[2].messages]
    assert told[1] == said
    assert told[3] == {"role": "assistant", "content": [THOUGHT, {"type": "text", "text": "42"}]}


async def test_another_model_is_not_given_them():
    model = ScriptedModel(thinks(THOUGHT, {"type": "text", "text": "42"}), say("hm"))
    house = TurnHouse(model)
    await house.whole(asking())
    await house.whole(asking(turn_id="turn-2", model="claude-opus-5-5", continues=True))
    assert "thinking" not in repr(model.prompts[1].messages)


@pytest.mark.parametrize(
    ("model", "thinking", "field"),
    [
        ("somebodys", SHOWN, "thinking"),
        ("claude-sonnet-5-5", Thinking(budget_tokens=2_000), "thinkingBudgetTokens"),
        ("claude-haiku-4-5", SHOWN, "maxTokens"),
    ],
)
async def test_what_the_model_would_refuse_is_refused_before_anything_is_spent(model, thinking, field):
    house = TurnHouse(ScriptedModel())
    question = structs.replace(QUESTION, model=model, thinking=thinking)
    _, record = await house.whole(FakeAsk(question))
    assert (record.outcome, record.failure.code) == (Outcome.REFUSED, InvalidRequest.code)
    assert [each.field for each in record.failure.fields] == [field]


@pytest.mark.parametrize(
    ("model", "thinking", "sent"),
    [
        ("claude-sonnet-5-5", SHOWN, {"type": "adaptive", "display": "summarized"}),
        ("claude-haiku-4-5", SHOWN, {"type": "enabled", "budget_tokens": 2_000}),
        ("claude-haiku-4-5", Thinking(budget_tokens=3_000), {"type": "enabled", "budget_tokens": 3_000}),
        ("claude-haiku-4-5", Thinking(budget_tokens=9_000), {"type": "enabled", "budget_tokens": 3_999}),
        ("somebodys", SHOWN, None),
        ("claude-sonnet-5-5", None, None),
    ],
)
def test_each_model_is_asked_in_its_own_way(model, thinking, sent):
    asked = prompt(model=model, thinking=thinking, max_tokens=4_000)
    assert arguments(asked).get("thinking") == sent


def test_without_room_for_it_a_model_with_a_budget_is_not_asked():
    assert "thinking" not in arguments(prompt(model="claude-haiku-4-5", thinking=SHOWN, max_tokens=1_500))


async def test_the_api_takes_back_what_it_thought():
    """The simulator refuses thinking that was altered: with a tool round and a second turn none was."""
    with serve(build()) as url:
        model = AnthropicModel("k", url)
        house = TurnHouse(model, built_in())
        events, record = await house.whole(asking(message="What is 12*7? [sim:tool]"))
        later, second = await house.whole(asking(message="And now?", turn_id="turn-2", continues=True))
        await model.aclose()
    assert (record.outcome, second.outcome) == (Outcome.ANSWERED, Outcome.ANSWERED)
    assert len(record.model_calls) == 2
    for heard in (events, later):
        assert "".join(each.text for each in heard if isinstance(each, Thought)).startswith("The question is")
