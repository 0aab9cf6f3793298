"""What every model must do, whoever makes it: the vendor's API behind its SDK, or a script."""

import asyncio
from collections.abc import Iterator
from functools import partial

import pytest

from service.agent.anthropic import AnthropicModel
from service.agent.model import Answering, ContentBegan, Counted, Prompt, TextPiece, ToolUse
from service.agent.scripted import Pause, ScriptedModel, begin, say, use
from service.errors import (
    ClientGone,
    UpstreamError,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamUnreachable,
)
from service.simulator import build
from tests.upstream import serve

CALCULATE = {
    "name": "calculate",
    "description": "arithmetic",
    "input_schema": {
        "type": "object",
        "properties": {"expression": {"type": "string"}},
        "required": ["expression"],
    },
}
HALF = (*begin(), ContentBegan(), TextPiece("You said"))
WANTED = [ToolUse(f"c{number}", "calculate", {"expression": "6*7"}) for number in range(3)]


def at(status, kind=UpstreamFailed, after=None):
    return [kind("no", status=status, request_id="req_1", retry_after_ms=after)]


SCRIPTS = {
    "[sim:text] hello": say("You said: ", "hello", "."),
    "[sim:tool]": use(WANTED[0]),
    "[sim:tools3]": use(*WANTED),
    "[sim:refuse] hello": say("You", stop_reason="refusal"),
    "[sim:stall]": (*begin(), Pause(lambda: asyncio.Event().wait())),
    "[sim:429]": at(429, UpstreamRateLimited),
    "[sim:429-after:7]": at(429, UpstreamRateLimited, 7_000),
    "[sim:529]": at(529, UpstreamOverloaded),
    "[sim:cut] hello": (*HALF, *at(200, UpstreamUnreachable)),
    "[sim:error-event] hello": (*HALF, *at(200, UpstreamOverloaded)),
    "[sim:truncate] hello": (*HALF, *at(200)),
    "[sim:bad-json] hello": (*HALF, *at(200)),
} | {f"[sim:{status}]": at(status) for status in (400, 401, 402, 403, 404, 413, 500, 503)}
"""What a model is asked, in the simulator's words, and the script that is the same."""

Played = partial[ScriptedModel]


@pytest.fixture(scope="session")
def upstream() -> Iterator[str]:
    with serve(build()) as url:
        yield url


@pytest.fixture(params=["anthropic", "scripted"])
async def model_for(request):
    """Make a model that answers this question."""
    if request.param == "scripted":
        yield lambda question: ScriptedModel(SCRIPTS[question], say("You said so."))
        return
    model = AnthropicModel("any", request.getfixturevalue("upstream"))
    yield lambda _: model
    await model.aclose()


async def ask(model, *messages, tools=(CALCULATE,)):
    """Ask; give the pieces that were told, and the reply or the error."""
    pieces = []

    async def hear(piece):
        pieces.append(piece)

    prompt = Prompt(
        model="claude-sonnet-5-5", system="be brief", messages=messages, tools=tools, max_tokens=500
    )
    try:
        return pieces, await model.ask(prompt, hear)
    except UpstreamError as error:
        return pieces, error


def user(content):
    return {"role": "user", "content": content}


def kinds(pieces):
    return [type(piece) for piece in pieces]


async def test_text_comes_in_pieces_that_are_the_reply(model_for):
    question = "[sim:text] hello"
    pieces, reply = await ask(model_for(question), user(question))
    assert kinds(pieces)[:3] == [Answering, Counted, ContentBegan]
    text = "".join(piece.text for piece in pieces if isinstance(piece, TextPiece))
    assert [(block["type"], block["text"]) for block in reply.content] == [("text", text)]
    assert text.startswith("You said: hello")
    assert kinds(pieces).count(TextPiece) > 1
    assert (reply.stop_reason, reply.tool_uses) == ("end_turn", ())
    assert reply.request_id


async def test_tokens_are_counted_at_the_beginning_and_the_end(model_for):
    question = "[sim:text] hello"
    pieces, _ = await ask(model_for(question), user(question))
    counted = [piece.usage for piece in pieces if isinstance(piece, Counted)]
    first, last = counted[0], counted[-1]
    assert first.input_tokens == last.input_tokens > 0
    assert first.output_tokens < last.output_tokens
    assert isinstance(pieces[-1], Counted)


@pytest.mark.parametrize(("question", "count"), [("[sim:tool]", 1), ("[sim:tools3]", 3)])
async def test_tools_that_are_wanted_are_blocks_of_the_reply(model_for, question, count):
    pieces, reply = await ask(model_for(question), user(question))
    blocks = [block for block in reply.content if block["type"] == "tool_use"]
    assert [(use.call_id, use.name, use.arguments) for use in reply.tool_uses] == [
        (block["id"], block["name"], block["input"]) for block in blocks
    ]
    assert [use.arguments for use in reply.tool_uses] == [{"expression": "6*7"}] * count
    assert reply.stop_reason == "tool_use"
    assert kinds(pieces).count(ContentBegan) == count


async def test_content_can_be_given_back(model_for):
    question = "[sim:tool]"
    model = model_for(question)
    _, reply = await ask(model, user(question))
    (wanted,) = reply.tool_uses
    result = {"type": "tool_result", "tool_use_id": wanted.call_id, "content": "42", "is_error": False}
    said = {"role": "assistant", "content": list(reply.content)}
    _, second = await ask(model, user(question), said, user([result]))
    assert second.stop_reason == "end_turn"


async def test_a_refusal_is_an_answer(model_for):
    question = "[sim:refuse] hello"
    _, reply = await ask(model_for(question), user(question))
    assert reply.stop_reason == "refusal"


@pytest.mark.parametrize(
    ("question", "kind", "status"),
    [
        *[(f"[sim:{status}]", UpstreamFailed, status) for status in (400, 401, 402, 403, 404, 413, 500, 503)],
        ("[sim:429]", UpstreamRateLimited, 429),
        ("[sim:429-after:7]", UpstreamRateLimited, 429),
        ("[sim:529]", UpstreamOverloaded, 529),
        ("[sim:cut] hello", UpstreamUnreachable, 200),
        ("[sim:error-event] hello", UpstreamOverloaded, 200),
        ("[sim:truncate] hello", UpstreamFailed, 200),
        ("[sim:bad-json] hello", UpstreamFailed, 200),
    ],
)
async def test_what_goes_wrong_is_one_of_our_errors(model_for, question, kind, status):
    pieces, error = await ask(model_for(question), user(question))
    assert (type(error), error.status) == (kind, status)
    assert error.request_id.startswith("req_")
    assert error.retry_after_ms == (7_000 if "after" in question else None)
    if status == 200:
        assert TextPiece in kinds(pieces)
        assert next(piece for piece in pieces if isinstance(piece, Counted)).usage.input_tokens > 0
    else:
        assert pieces == []


async def test_a_silent_model_can_be_left(model_for):
    question = "[sim:stall]"
    began = asyncio.Event()

    async def hear(piece):
        if isinstance(piece, Counted):
            began.set()

    prompt = Prompt(model="m", system="s", messages=(user(question),), tools=(), max_tokens=9)
    asking = asyncio.create_task(model_for(question).ask(prompt, hear))
    await began.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


@pytest.mark.parametrize("error", [ClientGone(), ValueError("a listener's own"), KeyError("x")])
async def test_what_a_listener_raises_is_not_the_models_fault(model_for, error):
    question = "[sim:text] hello"

    async def hear(_):
        raise error

    prompt = Prompt(model="m", system="s", messages=(user(question),), tools=(), max_tokens=9)
    with pytest.raises(type(error)) as raised:
        await model_for(question).ask(prompt, hear)
    assert raised.value is error


async def test_it_has_an_address(model_for):
    host, port = model_for("[sim:tool]").address
    assert (type(host), type(port)) == (str, int)
