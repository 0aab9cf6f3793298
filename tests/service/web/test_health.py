import asyncio

import httpx
import pytest

from service.web import health
from service.web.health import Dependency, look, overall
from service.web.watch import ModelWatch
from telemetry.failure import Code
from telemetry.record import Attempt
from tests.harness.chat import ask
from tests.harness.clock import Clock
from tests.harness.records import a_model_call, answered, failed, refused

UP, DEGRADED = Dependency("up", ""), Dependency("degraded", "")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watch(clock):
    return ModelWatch("simulator", clock)


@pytest.mark.parametrize(
    ("found", "stopping", "said"),
    [
        ([UP, UP], False, "ready"),
        ([UP, DEGRADED], False, "degraded"),
        ([], False, "ready"),
        ([UP], True, "not_ready"),
        ([DEGRADED], True, "not_ready"),
    ],
)
def test_the_whole_is_as_its_worst_part(found, stopping, said):
    assert overall(dict(enumerate(found)), stopping=stopping) == said


async def test_a_check_that_raises_is_degraded_and_its_words_stay_here():
    async def broken():
        raise ValueError("canary")

    assert await look(broken) == Dependency("degraded", "ValueError")


async def test_a_check_that_never_ends_is_degraded(monkeypatch):
    monkeypatch.setattr(health, "LOOK_SECONDS", 0.01)
    told = await look(asyncio.Event().wait)
    assert (told.status, told.detail) == ("degraded", "no answer within 0.01 s")


async def test_a_model_nobody_asked_is_up(watch):
    assert await watch.look() == Dependency("up", "simulator; not asked yet")


async def test_a_model_that_answered_is_up_and_says_when(watch, clock):
    watch.closed(answered())
    clock.now += 7
    assert await watch.look() == Dependency("up", "simulator; answered 7 s ago")


@pytest.mark.parametrize(
    "code",
    [
        Code.UPSTREAM_UNREACHABLE,
        Code.UPSTREAM_TIMEOUT,
        Code.UPSTREAM_OVERLOADED,
        Code.UPSTREAM_RATE_LIMITED,
        Code.UPSTREAM_ERROR,
    ],
)
async def test_a_model_that_failed_is_degraded_until_it_answers(watch, code):
    watch.closed(failed(code))
    assert await watch.look() == Dependency("degraded", f"simulator; {code.value} 0 s ago")
    watch.closed(answered())
    assert (await watch.look()).status == "up"


@pytest.mark.parametrize(
    "record",
    [
        refused(),
        failed(Code.TURN_TIMEOUT),
        failed(Code.INTERNAL),
        answered(model_calls=(a_model_call(first_chunk_seconds=None),)),
        failed(model_calls=(a_model_call(attempts=(Attempt(status=400),), failure=failed().failure),)),
    ],
    ids=["refused", "our deadline", "our bug", "client left before", "wrong request"],
)
@pytest.mark.parametrize("before", [answered(), failed(Code.UPSTREAM_UNREACHABLE)], ids=["up", "away"])
async def test_what_says_nothing_of_the_model_changes_nothing(watch, before, record):
    watch.closed(before)
    told = await watch.look()
    watch.closed(record)
    assert await watch.look() == told


def test_readiness_shows_what_the_turns_met(start_service):
    service = start_service()
    assert ready(service)["status"] == "ready"
    assert ask(service, "[sim:529]").status_code == 500
    told = ready(service)
    assert (told["status"], told["dependencies"]["model"]["status"]) == ("degraded", "degraded")
    assert "upstream_overloaded" in told["dependencies"]["model"]["detail"]
    assert ask(service, "[sim:400]").status_code == 500
    assert ready(service)["status"] == "degraded"
    assert ask(service, "Hello").status_code == 200
    assert ready(service)["status"] == "ready"


def ready(service):
    response = httpx.get(f"{service.url}/health/ready", trust_env=False)
    assert response.status_code == 200
    return response.json()


def test_readiness_shows_of_the_limits_store_only_what_kind_it_is(start_service):
    service = start_service(AGENT_RATE_LIMIT_STORE="redis://:canary@127.0.0.1:1/0")
    told = ready(service)
    assert told["status"] == "degraded"
    assert told["dependencies"]["limits"]["detail"].startswith("redis, enforce: ")
    assert "canary" not in str(told)
    assert ask(service, "Hello").status_code == 200
