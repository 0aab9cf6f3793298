"""One suite for both forms of the API, asked by the real SDK over a socket."""

import asyncio
import json

import anthropic
import httpx2
import pytest

from tests.harness.waiting import wait

MODEL = "claude-sonnet-5-5"
CALCULATE = {
    "name": "calculate",
    "description": "arithmetic",
    "input_schema": {
        "type": "object",
        "properties": {"expression": {"type": "string"}},
        "required": ["expression"],
    },
}
FORMS = ["json", "stream"]


@pytest.fixture(params=FORMS)
def form(request):
    return request.param


@pytest.fixture
def ask(client, form):
    """Ask in one of the two forms, and give the whole message."""

    async def ask(messages, **more):
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        return await whole(client, form, model=MODEL, max_tokens=500, messages=messages, **more)

    return ask


async def whole(client, form, **question):
    if form == "json":
        return await client.messages.create(**question)
    async with client.messages.stream(**question) as stream:
        return await stream.get_final_message()


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


async def test_a_plain_question_is_answered(ask):
    message = await ask("hello")
    assert text_of(message).startswith("You said: hello")
    assert (message.type, message.role, message.model) == ("message", "assistant", MODEL)
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    assert message.id.startswith("msg_")


async def test_text_is_plain(ask):
    message = await ask("[sim:text] What is 12*7?", tools=[CALCULATE])
    assert [block.type for block in message.content] == ["text"]


async def run_tools(ask, text, result="84"):
    """A whole turn: ask, answer each tool use, ask again."""
    first = await ask(text, tools=[CALCULATE], system="be brief")
    uses = [block for block in first.content if block.type == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": use.id, "content": result} for use in uses]
    messages = [
        {"role": "user", "content": text},
        first.to_param(),
        {"role": "user", "content": results},
    ]
    return first, lambda: ask(messages, tools=[CALCULATE], system="be brief")


@pytest.mark.parametrize(
    ("text", "expressions"),
    [("What is 12*7?", ["12*7"]), ("[sim:tool]", ["6*7"]), ("[sim:tools3]", ["6*7"] * 3)],
)
async def test_a_tool_goes_round(ask, text, expressions):
    first, again = await run_tools(ask, text)
    assert first.stop_reason == "tool_use"
    assert [block.input for block in first.content] == [{"expression": some} for some in expressions]
    assert len({block.id for block in first.content}) == len(expressions)
    second = await again()
    assert second.stop_reason == "end_turn"
    assert text_of(second).count("calculate returned 84.") == len(expressions)
    for usage in (first.usage, second.usage):  # nobody asked for a cache
        assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (0, 0)
    assert second.usage.input_tokens > first.usage.input_tokens


async def test_a_fault_waits_for_the_tools(ask):
    first, again = await run_tools(ask, "[sim:tool][sim:500]")
    assert first.stop_reason == "tool_use"
    with pytest.raises(anthropic.InternalServerError):
        await again()


async def test_a_tool_that_was_not_asked_for_is_refused(ask):
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}
    with pytest.raises(anthropic.BadRequestError, match="unexpected `tool_use_id`"):
        await ask([{"role": "user", "content": [result]}])


@pytest.mark.parametrize(
    ("marker", "error", "kind"),
    [
        ("400", anthropic.BadRequestError, "invalid_request_error"),
        ("401", anthropic.AuthenticationError, "authentication_error"),
        ("402", anthropic.APIStatusError, "billing_error"),
        ("403", anthropic.PermissionDeniedError, "permission_error"),
        ("404", anthropic.NotFoundError, "not_found_error"),
        ("413", anthropic.APIStatusError, "request_too_large"),
        ("429", anthropic.RateLimitError, "rate_limit_error"),
        ("429-after:7", anthropic.RateLimitError, "rate_limit_error"),
        ("500", anthropic.InternalServerError, "api_error"),
        ("503", anthropic.InternalServerError, "api_error"),
        ("529", anthropic.InternalServerError, "overloaded_error"),
    ],
)
async def test_a_status_is_the_error_of_the_sdk(ask, marker, error, kind):
    with pytest.raises(error) as failed:
        await ask(f"hello [sim:{marker}]")
    assert failed.value.status_code == int(marker[:3])
    assert failed.value.type == kind
    assert failed.value.request_id == failed.value.body["request_id"]
    assert failed.value.response.headers.get("retry-after") == ("7" if "after" in marker else None)


async def test_an_unknown_marker_is_a_bad_request(ask):
    with pytest.raises(anthropic.BadRequestError, match="no marker of the simulator"):
        await ask("[sim:nope]")


async def test_a_refusal_has_half_the_text(ask):
    message, full = await ask("[sim:refuse] hello"), await ask("hello")
    assert (message.stop_reason, message.stop_details.type) == ("refusal", "refusal")
    assert text_of(full).startswith(text_of(message))
    assert 0 < len(text_of(message)) < len(text_of(full))


async def test_slow_is_only_slow(ask):
    started = asyncio.get_running_loop().time()
    assert text_of(await ask("[sim:slow:30] hello")) == text_of(await ask("hello"))
    assert asyncio.get_running_loop().time() - started >= 0.03


async def test_slow_holds_before_an_error(ask):
    started = asyncio.get_running_loop().time()
    with pytest.raises(anthropic.RateLimitError):
        await ask("[sim:slow:30][sim:429]")
    assert asyncio.get_running_loop().time() - started >= 0.03


async def test_max_tokens_and_stop_sequences_cut(ask):
    cut = await ask("hello", stop_sequences=["hello"])
    assert (text_of(cut), cut.stop_reason, cut.stop_sequence) == ("You said: ", "stop_sequence", "hello")


@pytest.mark.parametrize("text", ["hello", "What is 12*7?", "[sim:refuse] x", "[sim:tools3]"])
async def test_both_forms_use_the_same(client, text):
    question = {"messages": [{"role": "user", "content": text}], "tools": [CALCULATE], "system": "be brief"}
    first, second = [
        await whole(client, form, model=MODEL, max_tokens=500, **question) for form in ("json", "stream")
    ]
    assert first.usage.to_dict() == second.usage.to_dict()
    assert first.usage.output_tokens > 1
    assert first.usage.input_tokens > 1


async def collect(client, text):
    """Stream an answer, and give each text piece met and the error that ended it, if any."""
    said = []
    try:
        async with client.messages.stream(
            model=MODEL, max_tokens=500, messages=[{"role": "user", "content": text}]
        ) as stream:
            async for piece in stream.text_stream:
                said.append(piece)  # noqa: PERF401 - a comprehension would lose them on an error
    except Exception as error:  # noqa: BLE001 - the test asserts its type
        return "".join(said), error
    return "".join(said), stream.current_message_snapshot


async def create(client, text):
    return await client.messages.create(
        model=MODEL, max_tokens=500, messages=[{"role": "user", "content": text}]
    )


async def test_cut_tears_the_stream(client):
    said, error = await collect(client, "[sim:cut] hello")
    assert said.startswith("You said: hello")
    assert isinstance(error, httpx2.RemoteProtocolError)


async def test_cut_tears_the_body(client):
    with pytest.raises(anthropic.APIConnectionError) as failed:
        await create(client, "[sim:cut] hello")
    assert isinstance(failed.value.__cause__, httpx2.RemoteProtocolError)


async def test_an_error_event_comes_in_the_stream(client):
    said, error = await collect(client, "[sim:error-event] hello")
    assert said.startswith("You said: hello")
    assert isinstance(error, anthropic.APIStatusError)
    assert (error.status_code, error.type) == (200, "overloaded_error")


async def test_an_error_event_has_no_place_in_a_body(client):
    with pytest.raises(anthropic.InternalServerError) as failed:
        await create(client, "[sim:error-event] hello")
    assert failed.value.status_code == 529


async def test_a_truncated_stream_ends_without_a_reason(client):
    said, message = await collect(client, "[sim:truncate] hello")
    assert said == text_of(await create(client, "hello"))
    assert (message.stop_reason, message.usage.output_tokens) == (None, 1)


async def test_a_truncated_body_has_half_the_text(client):
    message = await create(client, "[sim:truncate] hello")
    assert message.stop_reason == "max_tokens"
    assert 0 < len(text_of(message)) < len(text_of(await create(client, "hello")))


async def test_bad_json_in_the_stream(client):
    said, error = await collect(client, "[sim:bad-json] hello")
    assert said.startswith("You said: hello")
    assert isinstance(error, json.JSONDecodeError)


async def test_bad_json_as_the_body(client):
    with pytest.raises(json.JSONDecodeError):
        await create(client, "[sim:bad-json] hello")


async def test_tokens_can_be_counted(client):
    count = await client.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": "hello"}])
    assert count.input_tokens > 0


def last(simulator, marker):
    return next((fact for fact in reversed(simulator.requests) if marker in fact.markers), None)


async def leave(question, simulator):
    """Ask, wait until the simulator is at it, and leave."""
    before = simulator.active
    asking = asyncio.create_task(question)
    await asyncio.to_thread(wait, lambda: simulator.active > before)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


@pytest.mark.parametrize(("marker", "status"), [("stall", 200), ("slow:9999", 200)])
async def test_a_client_that_leaves_a_stream_is_noticed(client, simulator, marker, status):
    question = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": f"[sim:{marker}]"}]}
    async with client.messages.stream(**question) as stream:
        assert (await anext(stream)).type == "message_start"
    await asyncio.to_thread(wait, lambda: last(simulator, marker))
    fact = last(simulator, marker)
    assert (fact.disconnected, fact.status, fact.stream, fact.model) == (True, status, True, MODEL)


@pytest.mark.parametrize("marker", ["stall", "slow:9998"])
async def test_a_client_that_leaves_before_a_body_is_noticed(client, simulator, marker):
    await leave(create(client, f"[sim:{marker}] whole"), simulator)

    def noticed():
        fact = last(simulator, marker)
        return fact if fact and not fact.stream else None

    fact = await asyncio.to_thread(wait, noticed)
    assert (fact.disconnected, fact.status) == (True, None)


async def test_a_stalled_stream_sends_its_start_and_nothing_more(client):
    question = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "[sim:stall]"}]}
    async with client.messages.stream(**question) as stream:
        assert (await anext(stream)).type == "message_start"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(stream), 0.1)


async def test_a_finished_answer_is_no_disconnect(client, simulator):
    await create(client, "[sim:text][sim:slow:1] done")
    fact = await asyncio.to_thread(wait, lambda: last(simulator, "slow:1"))
    assert (fact.disconnected, fact.status, fact.markers) == (False, 200, ("text", "slow:1"))
