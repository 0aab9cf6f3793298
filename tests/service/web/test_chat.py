"""The chat route over a scripted model: one answer in two forms, and failures before and after content."""

import asyncio

import pytest
from msgspec.structs import replace

from config.settings import Streams
from service.agent.model import ContentBegan, TextPiece, ToolUse
from service.agent.upstream.scripted import Pause, ScriptedModel, begin, say, use
from service.errors import UpstreamFailed, UpstreamOverloaded, UpstreamRateLimited
from telemetry.record import Decision, Outcome
from tests.harness.agent import ALLOWED, FakeGate, FakeTools
from tests.harness.sse import Parser

CANARY = UpstreamFailed("The model's API answered with status 400.", status=400)
CANARY.__cause__ = RuntimeError("CANARY sk-ant-123")


def events_of(response):
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["x-accel-buffering"] == "no"
    events = Parser().feed(response.content)
    assert [event.id for event in events] == [str(number + 1) for number in range(len(events))]
    return events


async def test_a_json_answer(web):
    app = await web()
    response = await app.ask()
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    (record,) = app.records
    body = response.json()
    assert list(body) == [
        "id",
        "conversationId",
        "response",
        "model",
        "stopReason",
        "toolsCalled",
        "usage",
        "cost",
        "traceId",
    ]
    assert (body["response"], body["stopReason"], body["toolsCalled"]) == ("hi!", "end_turn", [])
    assert body["id"] == record.opening.turn_id == response.headers["x-request-id"]
    assert body["cost"] == record.cost_micros / 1_000_000 > 0
    assert body["usage"]["totalTokens"] == body["usage"]["inputTokens"] + body["usage"]["outputTokens"] == 15
    assert int(response.headers["content-length"]) == len(response.content)
    assert response.headers["ratelimit"] == '"role";r=1;t=0'
    assert response.headers["ratelimit-policy"] == '"role";q=2;w=60'


@pytest.mark.parametrize("how", [{"stream": True}, {"headers": {"accept": "text/event-stream"}}])
async def test_a_stream_says_the_same(web, how):
    async def echo(_):
        return "x"

    steps = use(ToolUse("u1", "echo", {})), say("hi", "!")
    app = await web(ScriptedModel(*steps, *steps), tools=FakeTools(echo=echo))
    whole = (await app.ask()).json()
    response = await app.ask(conversationId=whole["conversationId"], **how)
    events = events_of(response)
    assert [event.event for event in events] == ["turn", "tool", "tool", "text", "text", "done"]
    assert events[0].data == {
        "id": response.headers["x-request-id"],
        "conversationId": whole["conversationId"],
        "model": whole["model"],
        "traceId": response.headers["x-trace-id"],
    }
    assert [event.data["status"] for event in events[1:3]] == ["started", "finished"]
    assert "".join(event.data["text"] for event in events[3:5]) == whole.pop("response") == "hi!"
    own = {"id": events[0].data["id"], "traceId": events[0].data["traceId"]}
    assert events[-1].data == whole | own
    assert response.headers["ratelimit"]


async def test_where_streaming_is_off_every_answer_is_json(web):
    app = await web(streaming_enabled=False)
    response = await app.ask(stream=True, headers={"accept": "text/event-stream"})
    assert response.headers["content-type"] == "application/json"
    assert app.records[0].opening.streamed is False


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_without_content(web, stream):
    app = await web(ScriptedModel(say()))
    response = await app.ask(stream=stream)
    assert response.status_code == 200
    if stream:
        assert [event.event for event in events_of(response)] == ["turn", "done"]
    else:
        assert response.json()["response"] == ""


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (CANARY, 500, "upstream_error"),
        (UpstreamRateLimited("", status=429, retry_after_ms=90_000), 429, "upstream_rate_limited"),
        (RuntimeError("CANARY"), 500, "internal"),
    ],
)
async def test_a_failure_before_content_has_a_status(web, stream, error, status, code):
    app = await web(ScriptedModel((*begin(), error)))
    response = await app.ask(stream=stream)
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["ratelimit"]
    assert "CANARY" not in response.text + str(response.headers)
    assert response.headers.get("retry-after") == ("90" if status == 429 else None)


async def test_a_failure_after_content_is_the_last_event(web):
    model = ScriptedModel(
        (*begin(), ContentBegan(), TextPiece("half"), UpstreamOverloaded("busy", status=200))
    )
    app = await web(model)
    response = await app.ask(stream=True)
    assert response.status_code == 200
    events = events_of(response)
    assert [event.event for event in events] == ["turn", "text", "error"]
    body = events[-1].data
    assert (body["status"], body["code"], body["retryable"]) == (500, "upstream_overloaded", True)
    assert body["requestId"] == response.headers["x-request-id"]


async def test_a_json_answer_that_failed_in_its_middle_is_no_answer(web):
    app = await web(ScriptedModel((*begin(), ContentBegan(), TextPiece("half"), CANARY)))
    response = await app.ask()
    assert (response.status_code, response.json()["code"]) == (500, "upstream_error")
    assert "half" not in response.text


async def test_our_own_limit(web):
    denied = replace(
        ALLOWED, decision=Decision.DENIED, limit=20, remaining=0, reset_ms=1_001, retry_after_ms=1_001
    )
    app = await web(gate=FakeGate(denied))
    response = await app.ask(stream=True)
    body = response.json()
    assert (response.status_code, body["code"], body["fault"]) == (429, "rate_limited", "policy")
    assert body["error"].startswith("Rate limit exceeded. You can send up to 20 requests per minute.")
    assert response.headers["retry-after"] == "2"
    assert response.headers["ratelimit"] == '"role";r=0;t=2'


async def test_a_service_that_stops_takes_no_turn(web):
    app = await web()
    await app.turns.turns.stop()
    response = await app.ask()
    assert (response.status_code, response.json()["code"]) == (503, "shutting_down")
    assert response.headers["retry-after"] == "1"


async def test_silence_is_filled_with_comments(web):
    silent = Pause(lambda: asyncio.sleep(0.1))
    model = ScriptedModel((*begin(), ContentBegan(), TextPiece("a"), silent, *say("b")))
    app = await web(model, streams=Streams(keepalive_ms=10))
    parser = Parser()
    events = parser.feed((await app.ask(stream=True)).content)
    assert [event.event for event in events] == ["turn", "text", "text", "done"]
    assert len(parser.comments) >= 2
    assert events[2].comments
    assert events[2].data == {"text": "b"}


async def test_text_no_json_can_hold_raw_comes_through(web):
    text = 'a\nb\u2028"\\\x00\x1b😀</script>'
    app = await web(ScriptedModel(say(text), say(text)))
    assert (await app.ask()).json()["response"] == text
    assert events_of(await app.ask(stream=True))[1].data == {"text": text}


async def leave(app, receive, sent):
    """Ask by ASGI's own messages, so that the client may leave at any moment."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/api/v1/agent/chat",
        "raw_path": b"/api/v1/agent/chat",
        "query_string": b"",
        "root_path": "",
        "server": ("parley", 80),
        "client": ("127.0.0.1", 1),
        "headers": [
            (b"authorization", f"Bearer {app.key}".encode()),
            (b"content-type", b"application/json"),
        ],
        "state": {},
    }

    async def send(message):
        sent.append(message)

    await app.client._transport.app(scope, receive, send)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_ends_its_turn(web, stream):
    silent = asyncio.Event()

    async def pause():
        silent.set()
        await asyncio.Event().wait()

    model = ScriptedModel((*begin(), ContentBegan(), TextPiece("half"), Pause(pause)))
    app, sent, asked = await web(model), [], []

    async def receive():
        if not asked:
            asked.append(True)
            body = b'{"message": "hi", "stream": %s}' % (b"true" if stream else b"false")
            return {"type": "http.request", "body": body, "more_body": False}
        await silent.wait()
        return {"type": "http.disconnect"}

    await leave(app, receive, sent)
    assert [record.outcome for record in app.records] == [Outcome.CLIENT_GONE]


async def test_a_client_that_leaves_while_it_asks_asked_nothing(web):
    app, sent = await web(), []
    messages = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive():
        return messages.pop() if messages else {"type": "http.disconnect"}

    await leave(app, receive, sent)
    assert (sent, app.records) == ([], [])
