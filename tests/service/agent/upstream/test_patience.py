"""When the model is asked again, and after what wait."""

import asyncio
from types import SimpleNamespace

import pytest

from service.agent.model import ContentBegan, Reply, TextPiece, ToolUse
from service.agent.upstream import patience
from service.agent.upstream.guard import Guards
from service.agent.upstream.scripted import Pause, ScriptedModel, begin, say, use
from service.errors import (
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from telemetry.failure import Code
from telemetry.record import Outcome
from tests.harness.agent import FakeAsk, FakeTools, TurnHouse


@pytest.fixture
def naps(monkeypatch):
    """The waits that were asked for; none is kept."""
    asked = []

    async def sleep(seconds):
        asked.append(seconds)

    # its own `asyncio` only: a server in another thread sleeps too
    monkeypatch.setattr(patience, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": sleep}))
    return asked


OVERLOADED = UpstreamOverloaded("busy", status=529, request_id="r1")
AGAIN = [
    OVERLOADED,
    UpstreamFailed("", status=500),
    UpstreamFailed("", status=503),
    UpstreamFailed("", status=408),
    UpstreamFailed("", status=409),
    UpstreamRateLimited("", status=429),
    UpstreamUnreachable(""),
    UpstreamTimeout(""),
]
NEVER = [UpstreamFailed("", status=status) for status in (200, 400, 401, 402, 403, 404, 413, 422)]


@pytest.mark.parametrize("error", AGAIN, ids=lambda error: f"{type(error).__name__}-{error.status}")
async def test_what_may_pass_is_asked_again(naps, error):
    model = ScriptedModel([error], say("x"))
    _, record = await TurnHouse(model).whole()
    assert record.outcome is Outcome.ANSWERED
    assert (len(model.prompts), len(naps)) == (2, 1)
    (call,) = record.model_calls
    first, second = call.attempts
    assert (first.status, first.request_id, first.waited_seconds) == (error.status, error.request_id, naps[0])
    assert first.failure.code is error.code
    assert (second.status, second.failure, second.waited_seconds) == (200, None, 0)
    assert (call.failure, record.failure, record.errors) == (None, None, (first.failure,))
    assert model.prompts[0] == model.prompts[1]


@pytest.mark.parametrize("error", NEVER, ids=lambda error: str(error.status))
async def test_what_will_not_pass_is_not(naps, error):
    model = ScriptedModel([error])
    _, record = await TurnHouse(model).whole()
    assert (record.outcome, record.failure.code) == (Outcome.FAILED, Code.UPSTREAM_ERROR)
    assert (len(model.prompts), naps) == (1, [])
    assert len(record.model_calls[0].attempts) == 1


async def test_three_attempts_are_all(naps):
    model = ScriptedModel([OVERLOADED], [OVERLOADED], [OVERLOADED], say("never"))
    _, record = await TurnHouse(model).whole()
    assert (len(model.prompts), len(naps)) == (3, 2)
    assert record.failure.code is Code.UPSTREAM_OVERLOADED
    assert [each.waited_seconds for each in record.model_calls[0].attempts] == [*naps, 0]


async def test_nothing_is_asked_again_once_content_came(naps):
    model = ScriptedModel((*begin(), ContentBegan(), OVERLOADED), say("never"))
    _, record = await TurnHouse(model).whole()
    assert (len(model.prompts), naps, record.outcome) == (1, [], Outcome.FAILED)


async def test_an_answer_that_only_began_is_asked_for_again(naps):
    model = ScriptedModel((*begin(), OVERLOADED), say("x"))
    _, record = await TurnHouse(model).whole()
    assert (len(model.prompts), len(naps), record.outcome) == (2, 1, Outcome.ANSWERED)
    assert record.usage.output_tokens == 5


async def test_nothing_is_asked_again_once_a_tool_ran(naps):
    async def echo(_):
        return "x"

    model = ScriptedModel(use(ToolUse("c1", "echo", {})), [OVERLOADED], say("never"))
    _, record = await TurnHouse(model, FakeTools(echo=echo)).whole()
    assert (len(model.prompts), naps) == (2, [])
    assert record.failure.code is Code.UPSTREAM_OVERLOADED


@pytest.mark.parametrize(("milliseconds", "seconds"), [(0, 0), (1500, 1.5), (29_000, 29)])
async def test_retry_after_is_honoured(naps, milliseconds, seconds):
    error = UpstreamRateLimited("", status=429, retry_after_ms=milliseconds)
    _, record = await TurnHouse(ScriptedModel([error], say("x"))).whole()
    assert (naps, record.outcome) == ([seconds], Outcome.ANSWERED)


async def test_a_wait_that_would_outlast_the_turn_is_the_clients_to_know(naps):
    error = UpstreamRateLimited("", status=429, retry_after_ms=30_000)
    model = ScriptedModel([error])
    _, record = await TurnHouse(model).whole()
    assert (len(model.prompts), naps) == (1, [])
    assert (record.failure.code, record.failure.retry_after_ms) == (Code.UPSTREAM_RATE_LIMITED, 30_000)


@pytest.mark.parametrize(("number", "most"), [(0, 0.5), (1, 1.0), (2, 2.0)])
def test_the_wait_is_random_and_grows(number, most):
    waits = [patience.patience(OVERLOADED, number) for _ in range(500)]
    assert 0 <= min(waits) < 0.2 * most
    assert 0.8 * most < max(waits) <= most


async def test_nothing_is_asked_again_once_an_earlier_call_was_heard(naps):
    paused = Reply(content=[{"type": "text", "text": "a"}], stop_reason="pause_turn")
    model = ScriptedModel((*begin(), ContentBegan(), TextPiece("a"), paused), [OVERLOADED], say("never"))
    _, record = await TurnHouse(model, fallbacks=("claude-haiku-5-5",)).whole()
    assert (len(model.prompts), naps) == (2, [])
    assert record.failure.code is Code.UPSTREAM_OVERLOADED


async def test_retries_are_a_tenth_of_what_is_answered_and_a_reserve(naps):
    busy = [UpstreamRateLimited("", status=429)]
    model = ScriptedModel(*[step for _ in range(30) for step in (say("x"), busy)])
    house = TurnHouse(model, guards=Guards(clock=lambda: 0.0))
    while len(model.prompts) < 60:
        await house.whole(FakeAsk(turn_id=f"turn-{len(house.records) + 2}"))
    answered = sum(record.outcome is Outcome.ANSWERED for record in house.records)
    assert answered == 30
    assert len(naps) in {12, 13}


async def test_a_foreign_error_is_not_asked_again(naps):
    model = ScriptedModel([RuntimeError("boom")])
    _, record = await TurnHouse(model).whole()
    assert (len(model.prompts), naps, record.failure.code) == (1, [], Code.INTERNAL)
    assert len(record.model_calls[0].attempts) == 1


async def test_a_client_may_leave_while_it_waits():
    error = UpstreamRateLimited("", status=429, retry_after_ms=20_000)
    model = ScriptedModel([error], say("never"))
    house = TurnHouse(model)
    async with house.listening():
        await asyncio.sleep(0.05)
    (record,) = house.records
    assert (record.outcome, len(model.prompts)) == (Outcome.CLIENT_GONE, 1)
    assert [each.status for each in record.model_calls[0].attempts] == [429]


async def test_the_attempt_that_the_deadline_ended_is_recorded():
    house = TurnHouse(ScriptedModel([Pause(asyncio.Event().wait)]), deadline=0.05)
    _, record = await house.whole()
    assert [(each.status, each.failure) for each in record.model_calls[0].attempts] == [(None, None)]
