"""How the simulated model thinks, read by the SDK; and what it takes back of that."""

import anthropic
import pytest

SHOWN = {"type": "adaptive", "display": "summarized"}
BUDGET = {"type": "enabled", "budget_tokens": 1_024}
NEW, OLD = "claude-sonnet-5-5", "claude-haiku-4-5"


@pytest.fixture
def ask(client):
    async def ask(*messages, model=NEW, **more):
        asked = [{"role": "user", "content": each} if isinstance(each, str) else each for each in messages]
        question = {"model": model, "max_tokens": 2_000, "messages": asked} | more
        async with client.messages.stream(**question) as stream:
            streamed = [event async for event in stream]
            return streamed, await stream.get_final_message()

    return ask


async def test_it_thinks_before_it_answers(ask):
    events, message = await ask("How are you?", thinking=SHOWN)
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].thinking.startswith("The question is: How are you?")
    deltas = [
        event.delta.type for event in events if event.type == "content_block_delta" and event.index == 0
    ]
    assert deltas[:1] == ["thinking_delta"]
    assert deltas[1:].count("thinking_delta") == len(deltas) - 2
    assert deltas[-1] == "signature_delta"


async def test_both_forms_think_the_same(client, ask):
    _, streamed = await ask("hello", thinking=SHOWN)
    question = {"model": NEW, "max_tokens": 2_000, "messages": [{"role": "user", "content": "hello"}]}
    whole = await client.messages.create(**question, thinking=SHOWN)
    assert [block.to_dict() for block in whole.content] == [block.to_dict() for block in streamed.content]
    assert whole.usage.to_dict() == streamed.usage.to_dict()


async def test_thinking_is_output(ask):
    _, plain = await ask("hello")
    _, message = await ask("hello", thinking=SHOWN)
    thought = message.usage.output_tokens_details.thinking_tokens
    assert thought > 10
    assert message.usage.output_tokens == plain.usage.output_tokens + thought
    assert plain.usage.output_tokens_details is None


async def test_models_that_decide_themselves_keep_it_back_unless_asked(ask):
    _, message = await ask("hello", thinking={"type": "adaptive"})
    assert (message.content[0].thinking, bool(message.content[0].signature)) == ("", True)
    assert message.usage.output_tokens_details.thinking_tokens > 10


@pytest.mark.parametrize("kind", ["disabled", "between_tools"])
async def test_it_need_not_think(ask, kind):
    _, message = await ask("hello", thinking={"type": kind})
    assert [block.type for block in message.content] == ["text"]


async def test_an_older_model_has_a_budget(ask):
    _, message = await ask("hello", model=OLD, thinking=BUDGET)
    assert message.content[0].thinking


async def test_thinking_counts_towards_the_most_it_may_say(ask):
    _, message = await ask("hello", thinking=SHOWN, max_tokens=1)
    assert ([block.type for block in message.content], message.stop_reason) == (["thinking"], "max_tokens")


@pytest.mark.parametrize(
    ("model", "thinking", "said"),
    [
        (NEW, BUDGET, "thinking.type.enabled"),
        (OLD, {"type": "adaptive"}, "adaptive thinking is not supported"),
        (OLD, BUDGET | {"budget_tokens": 1_023}, "greater than or equal to 1024"),
        (OLD, BUDGET | {"budget_tokens": 2_000}, "must be greater than"),
        (NEW, {"type": "hard"}, "thinking"),
    ],
    ids=["budget", "adaptive", "little", "much", "unknown"],
)
async def test_what_a_model_does_not_take(ask, model, thinking, said):
    with pytest.raises(anthropic.BadRequestError, match=said):
        await ask("hello", model=model, thinking=thinking)


async def test_it_takes_back_what_it_thought_and_nothing_else(ask):
    _, message = await ask("hello", thinking=SHOWN)
    said = {"role": "assistant", "content": [block.to_dict() for block in message.content]}
    _, again = await ask("hello", said, "and now?", thinking=SHOWN)
    assert again.stop_reason == "end_turn"
    altered = {**said, "content": [said["content"][0] | {"thinking": "else"}, said["content"][1]]}
    for other, model in ((altered, NEW), (said, "claude-opus-5-5")):
        with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
            await ask("hello", other, "and now?", model=model)


async def test_what_nobody_may_read_goes_back_unread(ask):
    hidden = {"type": "redacted_thinking", "data": "opaque"}
    said = {"role": "assistant", "content": [hidden, {"type": "text", "text": "hi"}]}
    _, again = await ask("hello", said, "and now?")
    assert again.stop_reason == "end_turn"
