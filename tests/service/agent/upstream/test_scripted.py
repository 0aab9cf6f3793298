"""The shipped double holds to its script."""

import asyncio

import pytest

from service.agent.model import Answering, ContentBegan, Counted, Prompt, TextPiece
from service.agent.upstream.scripted import MODEL, RESPONSE_ID, USAGE, Pause, ScriptedModel, begin, say
from service.errors import UpstreamOverloaded
from telemetry.record import Usage, UsageSource

PROMPT = Prompt(model="m", system="", messages=(), tools=(), max_tokens=1)


async def play(model):
    heard = []

    async def hear(piece):
        heard.append(piece)

    return heard, await model.ask(PROMPT, hear)


async def test_it_says_its_script_in_order():
    model = ScriptedModel(say("a", "b"), say("c", stop_reason="refusal"))
    heard, reply = await play(model)
    first = Usage(input_tokens=10, output_tokens=1)
    assert heard == [
        Answering(RESPONSE_ID, MODEL),
        Counted(first, UsageSource.ESTIMATED),
        ContentBegan(),
        TextPiece("a"),
        TextPiece("b"),
        Counted(USAGE),
    ]
    assert (reply.content, reply.stop_reason) == ([{"type": "text", "text": "ab"}], "end_turn")
    _, reply = await play(model)
    assert reply.stop_reason == "refusal"
    assert model.prompts == [PROMPT, PROMPT]


async def test_it_raises_what_the_script_says():
    error = UpstreamOverloaded("busy")
    with pytest.raises(UpstreamOverloaded) as raised:
        await play(ScriptedModel([*begin(), error]))
    assert raised.value is error


async def test_it_is_silent_until_its_pause_ends():
    go_on = asyncio.Event()
    playing = asyncio.create_task(play(ScriptedModel([Pause(go_on.wait), *say("a")])))
    await asyncio.sleep(0)
    assert not playing.done()
    go_on.set()
    assert (await playing)[1].stop_reason == "end_turn"


async def test_it_does_not_improvise():
    model = ScriptedModel(begin())
    with pytest.raises(LookupError, match="no Reply"):
        await play(model)
    with pytest.raises(LookupError, match="1 answers"):
        await play(model)
