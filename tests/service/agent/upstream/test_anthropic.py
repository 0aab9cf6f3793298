"""The vendor's API through its SDK: what is sent, what is made of strange answers, and who reads what."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from service.agent.model import TextPiece
from service.agent.upstream.anthropic import AnthropicModel
from service.agent.upstream.translation import _retry_after_ms
from service.errors import UpstreamFailed, UpstreamRateLimited, UpstreamUnreachable
from service.simulator import build
from tests.harness.messages_api import TEXT, CannedApi, ask, block, end, prompt, start
from tests.harness.waiting import wait
from tests.upstream import serve

PLAIN = [start(), *block(0, TEXT, {"type": "text_delta", "text": "hi"}), *end()]


STRANGE = {
    "no message in the start": [{"type": "message_start"}],
    "no usage in the start": [{"type": "message_start", "message": {"id": "m", "model": "m"}}],
    "a delta without its block": [start(), {"type": "content_block_delta", "index": 5, "delta": TEXT}],
    "an event without a type": [{"type": ""}, start(), {"type": "content_block_start"}],
    "thinking in a text block": [
        start(),
        *block(0, TEXT),
        *block(0, TEXT, {"type": "thinking_delta", "thinking": "x"}),
    ],
    "nothing": [],
    "only an end": [{"type": "message_stop"}],
    "an end without a reason": [start(), *block(0, TEXT), {"type": "message_stop"}],
    "a reason without an end": [start(), *block(0, TEXT), end()[0]],
    "no object": [{"type": "message_start", "message": 5}],
}


@pytest.mark.parametrize("events", STRANGE.values(), ids=STRANGE)
async def test_a_stream_that_is_no_answer_is_an_upstream_failure(events):
    _, error = await ask(CannedApi(events))
    assert type(error) is UpstreamFailed
    assert (error.status, error.request_id) == (200, "req_canned")


async def test_a_body_that_is_no_stream_is_an_upstream_failure():
    _, error = await ask(CannedApi(raw=b"<html>welcome to the proxy</html>"))
    assert type(error) is UpstreamFailed


async def test_half_a_surrogate_pair_can_be_told():
    delta = {"type": "text_delta", "text": "a\ud800b"}
    pieces, _ = await ask(CannedApi([start(), *block(0, TEXT, delta), *end()]))
    assert [piece.text for piece in pieces if isinstance(piece, TextPiece)] == ["a?b"]


async def test_what_is_sent(monkeypatch):
    for name, value in {
        "ANTHROPIC_API_KEY": "other-key",
        "ANTHROPIC_AUTH_TOKEN": "other-token",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:9",
        "ANTHROPIC_CUSTOM_HEADERS": "X-Custom: yes\nauthorization: Bearer stolen",
        "ANTHROPIC_PROFILE": "other",
        "ANTHROPIC_LOG": "debug",
        "ANTHROPIC_OPEN_TELEMETRY": "true",
        "ANTHROPIC_OPEN_TELEMETRY_PROPAGATION": "true",
    }.items():
        monkeypatch.setenv(name, value)
    api = CannedApi(PLAIN)
    span = NonRecordingSpan(SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1)))
    with use_span(span):
        _, reply = await ask(api)
    (sent,) = api.asked
    assert reply.stop_reason == "end_turn"
    assert sent["authorization"] == "Bearer the-key"
    assert not {"x-custom", "x-api-key", "traceparent", "tracestate", "baggage"} & sent.keys()
    assert "other" not in str(sent)


@pytest.mark.parametrize("name", ["anthropic", "httpx2"])
async def test_the_sdk_logs_no_more_than_we_let_it(name):
    logging.getLogger(name).setLevel(logging.DEBUG)  # what ANTHROPIC_LOG=debug does on import
    AnthropicModel("k", "http://127.0.0.1:9").warm()
    assert logging.getLogger(name).level == logging.NOTSET


async def test_nothing_is_asked_twice():
    api = CannedApi(status=500, raw=b"{}")
    _, error = await ask(api)
    assert (error.status, len(api.asked)) == (500, 1)


async def test_nobody_listens_there():
    with serve(CannedApi()) as url:
        pass
    with pytest.raises(UpstreamUnreachable) as raised:
        await AnthropicModel("k", url).ask(prompt(), None)
    assert (raised.value.status, raised.value.request_id) == (None, None)


async def test_neither_key_nor_body_is_in_the_safe_words():
    canary = b'{"type": "error", "error": {"type": "api_error", "message": "CANARY the-key"}}'
    _, error = await ask(CannedApi(status=500, raw=canary))
    assert error.detail == "The model's API answered with status 500."


@pytest.mark.parametrize(
    ("header", "milliseconds"),
    [(None, None), ("7", 7_000), ("0.25", 250), ("0", 0), ("-3", 0), ("soon", None), ("", None)]
    + [(strange, None) for strange in ("nan", "inf", "1e999", "Wed, 99 Foo 2026 00:00:00 GMT")],
)
def test_retry_after_is_seconds_or_nothing(header, milliseconds):
    assert _retry_after_ms(header) == milliseconds


def test_retry_after_may_be_a_date():
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 80_000 < _retry_after_ms(later) <= 90_000
    assert _retry_after_ms("Fri, 31 Dec 1999 23:59:59 GMT") == 0


async def test_the_header_reaches_the_error():
    _, error = await ask(CannedApi(status=429, raw=b"{}", headers={"retry-after": "7"}))
    assert (type(error), error.retry_after_ms) == (UpstreamRateLimited, 7_000)


@pytest.mark.parametrize("marker", ["stall", "slow:9999"])
async def test_a_cancel_closes_the_connection(marker):
    simulator, began = build(), asyncio.Event()

    async def hear(_):
        began.set()

    with serve(simulator) as url:
        model = AnthropicModel("k", url)
        asking = asyncio.create_task(model.ask(prompt(f"[sim:{marker}]"), hear))
        await began.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.to_thread(wait, lambda: simulator.requests)
        await model.aclose()
    assert [fact.disconnected for fact in simulator.requests] == [True]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        (None, ("api.anthropic.com", 443)),
        ("http://127.0.0.1:8080/x", ("127.0.0.1", 8080)),
        ("http://localhost", ("localhost", 80)),
        ("https://[::1]:9", ("::1", 9)),
    ],
)
def test_the_address_is_that_of_the_url(url, address):
    assert AnthropicModel("k", url).address == address


async def test_first_questions_at_once_make_one_client():
    with serve(CannedApi(PLAIN)) as url:
        model = AnthropicModel("k", url)
        await asyncio.gather(*(asyncio.to_thread(model.warm) for _ in range(8)))
        client = model._client
        model.warm()
        assert model._client is client
        await model.aclose()
