"""Large prompts are counted before they are weighed; where nobody counts, nothing else changes."""

import asyncio

import pytest
from msgspec import structs

from service.agent import worst
from service.agent.upstream.anthropic import AnthropicModel
from service.agent.upstream.guard import Guards
from service.agent.upstream.scripted import ScriptedModel, say
from service.errors import UpstreamError, UpstreamFailed, UpstreamTimeout
from service.simulator import build
from telemetry.record import Outcome
from tests.harness.agent import ALLOWED, QUESTION, FakeAsk, FakeGate, TurnHouse
from tests.harness.messages_api import CannedApi, prompt
from tests.upstream import serve

LARGE = "word " * 2_000


class Counter(ScriptedModel):
    """A scripted model that counts, or raises."""

    def __init__(self, counts, *answers):
        super().__init__(*answers or (say("ok"),))
        self._counts, self.counted = counts, []

    async def count(self, asked):
        self.counted.append(asked)
        if isinstance(self._counts, Exception):
            raise self._counts
        return self._counts


def asking(message=LARGE):
    return FakeAsk(structs.replace(QUESTION, message=message))


async def weighed(model, message=LARGE, above=1_000, gate=None, guards=None):
    gate = gate or FakeGate()
    house = TurnHouse(model, gate=gate, count_above=above, guards=guards)
    _, record = await house.whole(asking(message))
    return record, gate.needs[0]


async def test_a_large_prompt_is_weighed_as_it_was_counted():
    model = Counter(2_001)
    record, need = await weighed(model)
    assert need.tokens == worst.FRAME_TOKENS + 2_001 + 40 + 2 + QUESTION.max_tokens
    count = record.token_count
    assert (count.model, count.tokens, count.failure) == (QUESTION.model, 2_001, None)
    assert count.seconds >= 0
    assert len(model.counted) == 1
    assert record.errors == ()


@pytest.mark.parametrize(("message", "above"), [("small", 1_000), (LARGE, 4_000), (LARGE, 0)])
async def test_a_small_one_is_not_counted_nor_any_where_that_is_off(message, above):
    model = Counter(1)
    record, need = await weighed(model, message, above)
    assert (model.counted, record.token_count) == ([], None)
    assert need.tokens > len(message)


async def test_a_model_that_does_not_count_is_weighed_by_bytes():
    record, need = await weighed(ScriptedModel(say("ok")))
    assert record.token_count is None
    assert need.tokens > len(LARGE)


async def test_a_count_that_fails_is_no_failure_of_the_turn():
    record, need = await weighed(Counter(UpstreamFailed("no", status=500)))
    assert record.outcome is Outcome.ANSWERED
    assert (record.token_count.tokens, record.token_count.failure.code) == (None, "upstream_error")
    assert need.tokens > len(LARGE)
    assert [failure.code for failure in record.errors] == ["upstream_error"]


async def test_nobody_counts_for_a_caller_who_is_refused_anyway():
    model = Counter(1)
    await weighed(model, gate=FakeGate(structs.replace(ALLOWED, remaining=0)))
    assert model.counted == []


async def test_a_model_that_is_left_alone_is_not_asked_to_count():
    guards, model = Guards([QUESTION.model]), Counter(1)
    guard = guards.of(QUESTION.model)
    for _ in range(200):
        with pytest.raises(UpstreamError), guard.asking():
            raise UpstreamTimeout("no")
    house = TurnHouse(model, count_above=1_000, guards=guards)
    _, record = await house.whole(asking())
    assert (model.counted, record.token_count.tokens) == ([], None)


async def test_the_api_counts_what_it_would_read():
    asked = prompt(LARGE, model="claude-sonnet-5-5")
    with serve(build()) as url:
        model = AnthropicModel("k", url, cache="5m")
        heard = []

        async def hear(piece):
            heard.append(piece)

        counted = await model.count(asked)
        await model.ask(asked, hear)
        await model.aclose()
    assert counted == heard[-1].usage.input_tokens > 2_000


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (500, b"{}"),
        (404, b"<html>"),
        (200, b"{}"),
        (200, b'{"input_tokens": "many"}'),
        (200, b'{"input_tokens": -1}'),
        (200, b"no json"),
    ],
)
async def test_what_is_no_count_is_one_of_our_errors(status, raw):
    with serve(CannedApi(status=status, raw=raw, headers={"content-type": "application/json"})) as url:
        model = AnthropicModel("k", url)
        with pytest.raises(UpstreamFailed):
            await model.count(prompt())
        await model.aclose()


async def test_a_count_that_takes_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr("service.agent.upstream.anthropic.COUNT_SECONDS", 0.05)

    async def silent(scope, receive, send):
        del receive, send
        if scope["type"] == "http":
            await asyncio.sleep(30)

    with serve(silent) as url:
        model = AnthropicModel("k", url)
        model.warm()
        with pytest.raises(UpstreamTimeout):
            await model.count(prompt())
        await model.aclose()
