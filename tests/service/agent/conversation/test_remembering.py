"""What a conversation keeps of what tools gave."""

import pytest
from msgspec import structs

from service.agent.conversation.history import decode
from service.agent.conversation.remembering import FORGOTTEN, remembered
from service.agent.model import ToolUse
from service.agent.upstream.scripted import ScriptedModel, say, use
from service.tools import Errand, Registry, tool
from service.tools.audit_search import build
from tests.harness.agent import FakeTools, TurnHouse, hear_all
from tests.harness.tools import offered


@tool()
async def kept(errand: Errand) -> str:
    """Give what may be kept."""
    return f"kept of {errand.call_id}"


@tool()
async def looked(errand: Errand) -> str:
    """Give what may not."""
    return f"somebody's words of {errand.call_id}"


async def test_the_model_is_told_all_and_the_conversation_keeps_a_note():
    model = ScriptedModel(
        use(ToolUse("1", "looked", {}), ToolUse("2", "kept", {})),
        use(ToolUse("3", "looked", {})),
        say("done"),
    )
    house = TurnHouse(model, Registry((kept, structs.replace(looked, remembered=False))))
    async with house.listening() as running:
        await hear_all(running)
    told = str(model.prompts[-1].messages)
    assert all(f"of {number}" in told for number in (1, 2, 3))
    ((_, _, turn),) = house.conversations.kept.values()
    results = [
        block for message in decode(turn)[1:] for block in message["content"] if "tool_use_id" in block
    ]
    assert [result["tool_use_id"] for result in results] == ["1", "2", "3"]
    assert [result["content"] == FORGOTTEN for result in results] == [True, False, True]
    assert "somebody" not in turn.messages


@pytest.mark.parametrize("content", ["plain", [{"type": "text", "text": "x"}]])
def test_a_turn_without_such_tools_is_kept_as_it_is(content):
    messages = [{"role": "user", "content": content}]
    assert remembered(messages, FakeTools()) is messages


def test_a_tool_that_is_not_there_any_more_hides_nothing():
    gone = {"type": "tool_use", "id": "1", "name": "gone", "input": {}}
    messages = [{"role": "assistant", "content": [gone]}]
    assert remembered(messages, offered(Registry())) is messages


def test_what_the_audit_says_is_not_remembered():
    async def unasked(asked, errand):
        raise NotImplementedError

    assert not build(unasked).remembered
