"""What every model must do, whoever makes it: a provider's API behind HTTP, or a script."""

import asyncio
from contextlib import ExitStack

import pytest

from service.agent import structure
from service.agent.model import Answering, ContentBegan, Counted, Prompt, TextPiece
from service.agent.upstream.silence import Times
from service.errors import (
    ClientGone,
    UpstreamError,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from telemetry.record import UsageSource
from tests.contracts import models
from tests.harness.waiting import wait

CALCULATE = {
    "name": "calculate",
    "description": "arithmetic",
    "input_schema": {
        "type": "object",
        "properties": {"expression": {"type": "string"}},
        "required": ["expression"],
    },
}


@pytest.fixture(scope="module")
def apis():
    """Each API that answers over HTTP, by the name of the model that asks it."""
    with ExitStack() as running:
        yield {name: running.enter_context(api()) for name, api in models.APIS.items()}


@pytest.fixture(params=models.NAMES)
async def model_for(request, apis):
    """Make a model that answers this question."""
    if request.param == "scripted":
        yield models.scripted
        return
    broken = request.getfixturevalue("broken_call")
    async with (
        models.asking(request.param, apis[request.param].url) as model,
        models.asking(request.param if "anthropic" in request.param else "anthropic", broken) as other,
    ):
        canned = "anthropic" in request.param
        yield lambda question: other if canned and question == models.BAD_ARGUMENTS else model


@pytest.fixture(scope="module")
def broken_call():
    with models.broken_call() as url:
        yield url


@pytest.fixture(params=list(models.APIS))
async def over_http(request):
    """A model and the API that answers it alone, both of this test's own."""
    with models.APIS[request.param]() as api:
        async with models.asking(request.param, api.url) as model:
            yield model, api


@pytest.fixture(params=list(models.APIS))
async def impatient(request):
    """The same, but that the model does not wait for long."""
    with models.APIS[request.param]() as api:
        async with models.asking(request.param, api.url, Times(first=0.4, between=0.4)) as model:
            yield model, api


async def ask(model, *messages, tools=(CALCULATE,), schema=None):
    """Ask; give the pieces that were told, and the reply or the error."""
    pieces = []

    async def hear(piece):
        pieces.append(piece)

    prompt = Prompt(
        model="claude-sonnet-5-5",
        system="be brief",
        messages=messages,
        tools=tools,
        max_tokens=500,
        schema=schema,
    )
    try:
        return pieces, await model.ask(prompt, hear)
    except UpstreamError as error:
        return pieces, error


def user(content):
    return {"role": "user", "content": content}


def kinds(pieces):
    return [type(piece) for piece in pieces]


async def test_text_comes_in_pieces_that_are_the_reply(model_for, request):
    question = "[sim:text] hello"
    pieces, reply = await ask(model_for(question), user(question))
    assert kinds(pieces)[:3] == [Answering, Counted, ContentBegan]
    text = "".join(piece.text for piece in pieces if isinstance(piece, TextPiece))
    assert [(block["type"], block["text"]) for block in reply.content] == [("text", text)]
    assert text.startswith("You said: hello")
    direct = request.node.callspec.params["model_for"] == "anthropic"  # tells what came together as one
    assert kinds(pieces).count(TextPiece) > (0 if direct else 1)
    assert (reply.stop_reason, reply.tool_uses) == ("end_turn", ())
    assert reply.request_id


async def test_tokens_are_counted_at_the_beginning_and_the_end(model_for):
    question = "[sim:text] hello"
    pieces, _ = await ask(model_for(question), user(question))
    counted = [piece.usage for piece in pieces if isinstance(piece, Counted)]
    first, last = counted[0], counted[-1]
    assert first.input_tokens > 0 < last.input_tokens
    assert first.output_tokens < last.output_tokens
    assert isinstance(pieces[-1], Counted)
    sources = [piece.source for piece in pieces if isinstance(piece, Counted)]
    assert (sources[0], sources[-1]) == (UsageSource.ESTIMATED, UsageSource.REPORTED)


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


async def test_arguments_that_are_no_json_are_none_and_the_block_can_be_given_back(model_for):
    _, reply = await ask(model_for(models.BAD_ARGUMENTS), user(models.BAD_ARGUMENTS))
    (wanted,) = reply.tool_uses
    assert (wanted.name, wanted.arguments) == ("calculate", None)
    assert wanted.call_id
    assert [block["input"] for block in reply.content if block["type"] == "tool_use"] == [{}]


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


async def test_it_names_its_provider(model_for):
    assert model_for("[sim:tool]").provider in models.NAMES


async def test_a_schema_is_asked_for_and_the_answer_is_json_by_it(over_http):
    model, _ = over_http
    kinds = {"a": {"type": "integer"}, "b": {"type": ["string", "null"], "minLength": 3}}
    schema = {"type": "object", "properties": kinds, "required": ["a", "b"], "additionalProperties": False}
    _, reply = await ask(model, user("hello"), schema=schema)
    assert reply.stop_reason == "end_turn"
    assert await structure.fit(schema, [{"role": "assistant", "content": reply.content}], "end_turn")


async def test_files_are_passed_on_before_the_words(over_http):
    model, _ = over_http
    source = {"type": "base64", "data": "JVBERi0="}
    content = [
        {"type": "image", "source": source | {"media_type": "image/png"}},
        {"type": "document", "source": source | {"media_type": "application/pdf"}, "title": "a.pdf"},
        {"type": "text", "text": "hello"},
    ]
    _, reply = await ask(model, user(content))
    assert "You said: hello" in reply.content[0]["text"]


async def test_a_silence_is_one_of_our_errors(impatient):
    model, api = impatient
    pieces, error = await ask(model, user("[sim:stall]"))
    assert (type(error), error.status, error.transient) == (UpstreamTimeout, 200, True)
    assert [piece.source for piece in pieces if isinstance(piece, Counted)][-1] is UsageSource.ESTIMATED
    await asyncio.to_thread(wait, lambda: api.left() == 1)


async def test_whoever_is_cancelled_closes_the_connection(over_http):
    model, api = over_http
    asking = asyncio.create_task(ask(model, user("[sim:stall]")))
    await asyncio.to_thread(wait, lambda: api.asked() == 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.to_thread(wait, lambda: api.left() == 1)


@pytest.mark.parametrize("marker", ["429", "500", "503", "529", "cut", "error-event", "truncate"])
async def test_nothing_is_asked_again_from_inside(over_http, marker):
    model, api = over_http
    _, error = await ask(model, user(f"[sim:{marker}] hello"))
    assert isinstance(error, UpstreamError)
    assert api.asked() == 1


async def test_an_answer_that_breaks_off_is_counted_by_what_was_heard(over_http):
    model, _ = over_http
    pieces, _ = await ask(model, user(f"[sim:cut] {'many words ' * 20}"))
    first, *_, last = (piece for piece in pieces if isinstance(piece, Counted))
    heard = sum(len(piece.text) for piece in pieces if isinstance(piece, TextPiece))
    assert last.source is UsageSource.ESTIMATED
    assert first.usage.output_tokens < heard / 4 < last.usage.output_tokens
    assert last.usage.input_tokens > 0


@pytest.mark.parametrize(
    ("marker", "transient"),
    [("400", False), ("401", False), ("403", False), ("404", False), ("413", False)]
    + [(marker, True) for marker in ("429", "500", "503", "529", "cut", "error-event")],
)
async def test_an_error_says_whether_it_may_pass(over_http, marker, transient):
    model, _ = over_http
    _, error = await ask(model, user(f"[sim:{marker}] hello"))
    assert error.transient is transient


@pytest.mark.parametrize("name", list(models.MODELS))
async def test_an_api_that_is_not_there_is_one_of_our_errors(name):
    async with models.asking(name, "http://127.0.0.1:9") as model:
        pieces, error = await ask(model, user("hello"))
    assert (type(error), error.status, error.transient, pieces) == (UpstreamUnreachable, None, True, [])
