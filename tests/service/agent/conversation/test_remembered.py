"""Conversations over a real database, sealed: what was said comes back as it was, as far as there is room."""

import json

import pytest
from msgspec import structs

from service.agent.model import ContentBegan, Counted, Reply, ToolUse
from service.agent.upstream.scripted import ScriptedModel, begin, say
from service.seal.vault import Vault
from service.store.database import open_database
from telemetry.failure import Code
from telemetry.record import History, Outcome, Usage
from tests.harness.agent import QUESTION, FakeGate, FakeTools, TurnHouse
from tests.service.agent.conversation.test_memory import AGAIN, asking, contents

VAULT = Vault(masters=(b"m" * 32,))
THOUGHT = {"type": "thinking", "thinking": "12*7 \u00fc \U0001f600", "signature": "EqQBCkYIBx/+sig=="}
HIDDEN = {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3p"}
USE = {"type": "tool_use", "id": "toolu_1", "name": "echo", "input": {"b": 1.50, "a": [None, True, "x"]}}
TEXT = {"type": "text", "text": "It is 84.", "citations": None}
FIRST = Usage(input_tokens=300, output_tokens=40)
LAST = Usage(input_tokens=360, output_tokens=20, cache_read_tokens=100)


def thinking():
    """A turn of two calls: thoughts and a tool, then a hidden thought and the answer."""
    wanted = (ToolUse(USE["id"], USE["name"], USE["input"]),)
    first = Reply(content=(THOUGHT, USE), stop_reason="tool_use", tool_uses=wanted)
    last = Reply(content=(HIDDEN, TEXT), stop_reason="end_turn")
    return (*begin(), ContentBegan(), Counted(FIRST), first), (*begin(), ContentBegan(), Counted(LAST), last)


@pytest.fixture
async def house(tmp_path):
    """Make houses over one database, each as another process would."""
    opened = []

    async def make(*answers, window=200_000):
        async def echo(_):
            return "seen: \u00fc \u2028"

        opened.append(await open_database(f"sqlite:///{tmp_path}/parley.db", VAULT))
        made = TurnHouse(
            ScriptedModel(*answers),
            FakeTools(echo=echo),
            conversations=opened[-1].conversations,
            gate=FakeGate(),
        )
        return made.equip(context_tokens=window)

    yield make
    for each in opened:
        await each.close()


async def test_thoughts_signatures_tools_and_results_come_back_as_they_were(house):
    one, two = await house(*thinking()), await house(say("ok"))
    await one.whole(asking(QUESTION, "turn-1"))
    await two.whole(asking())
    (told,) = two.agent.model.prompts
    said = one.agent.model.prompts[1].messages
    expected = [
        *said,
        {"role": "assistant", "content": [HIDDEN, TEXT]},
        {"role": "user", "content": "And then?"},
    ]
    assert json.dumps(told.messages) == json.dumps(expected)
    assert said[1]["content"] == [THOUGHT, USE]
    assert "seen: \u00fc \u2028" in said[2]["content"][0]["content"]


async def test_another_model_is_told_all_but_the_thoughts(house):
    one, two = await house(*thinking()), await house(say("ok"))
    await one.whole(asking(QUESTION, "turn-1"))
    await two.whole(asking(structs.replace(AGAIN, model="claude-haiku-5-5")))
    blocks = [block for _, content in contents(two.agent.model.prompts[0])[1:4] for block in content]
    assert [block["type"] for block in blocks] == ["tool_use", "tool_result", "text"]


async def test_a_turn_is_kept_with_the_tokens_it_added_as_the_provider_counted(house):
    one = await house(*thinking(), say("ok", usage=Usage(input_tokens=420, output_tokens=9)), say("x"))
    for number, question in enumerate((QUESTION, AGAIN, AGAIN), 1):
        await one.whole(asking(question, f"turn-{number}"))
    turns = await one.conversations.recall(AGAIN.conversation_id, "ann", 9)
    known = [each.tokens for each in turns]
    system = 380 - known[0]  # what is estimated for the system prompt and the tools
    assert 0 < system < 380
    assert known[:2] == [380 - system, 429 - system - known[0]]
    assert one.records[1].opening.history == History(turns=1, dropped=0, tokens=known[0])
    assert one.records[0].opening.history is None


async def test_what_has_no_room_is_dropped_oldest_first_and_said_so(house):
    usages = [Usage(input_tokens=400 * number, output_tokens=100) for number in range(1, 5)]
    one = await house(*(say(f"a{number}", usage=each) for number, each in enumerate(usages, 1)), window=1_100)
    for number, usage in enumerate(usages, 1):
        question = structs.replace(AGAIN, message=f"q{number}", continues=number > 1)
        _, record = await one.whole(asking(question, f"turn-{number}"))
        assert record.outcome is Outcome.ANSWERED, usage
    told = [[text for role, text in contents(each) if role == "user"] for each in one.agent.model.prompts]
    assert told[:3] == [["q1"], ["q1", "q2"], ["q1", "q2", "q3"][3 - len(told[2]) :]]
    history = one.records[3].opening.history
    assert (history.turns, history.dropped) == (len(told[3]) - 1, 4 - len(told[3]))
    assert history.dropped > 0


async def test_a_question_without_room_is_refused_before_anybody_is_asked(house):
    one = await house(say("x"), say("y"), window=1_000)
    await one.whole(asking(QUESTION, "turn-1"))
    long = structs.replace(AGAIN, message="word " * 600)
    events, record = await one.whole(asking(long))
    assert (events, record.outcome, record.failure.code) == ([], Outcome.REFUSED, Code.TOO_LARGE)
    assert [each.field for each in record.failure.fields] == ["message"]
    assert (one.gate.asked, len(one.agent.model.prompts), one.turns.memory._present) == (1, 1, {})
    _, record = await one.whole(asking(turn_id="turn-3"))
    assert record.outcome is Outcome.ANSWERED
