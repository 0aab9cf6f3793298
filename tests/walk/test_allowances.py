"""Tokens, turns at one time, tenants, models, tools, addresses and money, on the real service over HTTP."""

import asyncio
import time
from collections import Counter

import httpx
import jwt
import pytest

from tests.harness.chat import ROUTE, ask
from tests.harness.otlp import Receiver
from tests.harness.redis import Redis
from tests.harness.service import Service
from tests.harness.telling import told, total
from tests.harness.waiting import wait
from tests.walk.test_limits import TEXT, burst, key_of

SECRET = "s" * 32
MANY = {"AGENT_RATE_LIMIT_ROLES": "AUDITEE=1000"}
SHORT = {"maxTokens": 16}


def token(user: str, role: str = "GUEST", **claims: str) -> str:
    """A token of the issuer."""
    said = {"sub": user, "role": role, "iss": "parley", "aud": "parley", "exp": time.time() + 600}
    return jwt.encode(said | claims, SECRET, algorithm="HS256")


def test_tokens_are_limited_under_their_own_code_and_come_back_when_the_turn_was_short(start_service):
    service = start_service(**MANY, AGENT_TOKENS_PER_MINUTE="40000")  # 8,000 at once
    answers = asyncio.run(burst_of(service, 12, {"maxTokens": 1_000}))
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) == {200, 429}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["code"] == "tokens_limited"
    assert refused.json()["error"].startswith(
        "Rate limit exceeded. You can use up to 40000 tokens per minute."
    )
    assert int(refused.headers["retry-after"]) >= 1
    assert '"tokens";q=40000;w=60' in refused.headers["ratelimit-policy"]
    # what the short answers did not take is there again: more of them than could be reserved at once
    for _ in range(12):
        assert ask(service, "again", **SHORT).status_code == 200


async def burst_of(service: Service, count: int, body: dict) -> list[httpx.Response]:
    headers = {"Authorization": f"Bearer {service.api_key}"}
    async with httpx.AsyncClient(
        base_url=service.url, headers=headers, timeout=30, trust_env=False
    ) as client:
        asked = [client.post(ROUTE, json={"message": "[sim:slow:200] hi", **body}) for _ in range(count)]
        return await asyncio.gather(*asked)


def test_more_tokens_than_can_be_had_at_once_are_refused_with_a_word_on_what_helps(start_service):
    service = start_service(AGENT_TOKENS_PER_MINUTE="20000")
    refused = ask(service, "hello", maxTokens=4_000)
    assert (refused.status_code, refused.json()["code"]) == (429, "tokens_limited")
    assert refused.json()["detail"].startswith("At most 4000 tokens may be asked for at once")
    assert ask(service, "hello", maxTokens=500).status_code == 200


def test_as_many_turns_at_one_time_as_may_be(start_service):
    service = start_service(**MANY, AGENT_RATE_LIMIT_CONCURRENCY="3")
    answers = asyncio.run(burst_of(service, 8, {}))
    assert Counter(answer.status_code for answer in answers) == {200: 3, 429: 5}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["code"] == "concurrency_limited"
    assert "up to 3 requests under way at the same time" in refused.json()["error"]
    for _ in range(5):  # each slot is free before its answer is over
        assert ask(service, "one after the other").status_code == 200


def test_a_slot_is_free_again_whatever_became_of_the_turn(start_service):
    service = start_service(**MANY, AGENT_RATE_LIMIT_CONCURRENCY="1")
    for marker in ("500", "cut", "error-event", "truncate", "refuse", "tool", "429"):
        ask(service, f"[sim:{marker}]")
        assert ask(service, "after it").status_code == 200, marker
    headers = {"Authorization": f"Bearer {service.api_key}"}
    with (
        httpx.Client(base_url=service.url, headers=headers, timeout=30, trust_env=False) as client,
        client.stream("POST", ROUTE, json={"message": "[sim:slow:1500] x", "stream": True}) as response,
    ):
        next(response.iter_bytes())  # and leave
    deadline = time.monotonic() + 5
    while ask(service, "after it").status_code != 200:
        assert time.monotonic() < deadline


def test_users_of_one_tenant_share_its_number_and_keep_their_own(start_service):
    service = start_service(
        AGENT_JWT_SECRET=SECRET, AGENT_RATE_LIMIT_TENANT="4", AGENT_RATE_LIMIT_ROLES="GUEST=3"
    )
    ann, ben, eve = token("ann", tenant="acme"), token("ben", tenant="acme"), token("ann", tenant="other")
    statuses = [
        ask(service, "x", key=key).status_code for key in (ann, ann, ben, ben, ben, eve, eve, eve, eve)
    ]
    assert statuses == [200, 200, 200, 200, 429, 200, 200, 200, 429]
    service.wait_for_rows(6, actorId="ann")
    for tenant, left in (("acme", 0), ("other", 1)):  # each head sees the ann of their own
        looked = look(service, "ann", token("head", "AUDIT_HEAD", tenant=tenant)).json()
        assert {each["name"]: each["remaining"] for each in looked["policies"]}["tenant"] == left
    assert look(service, "ann", key_of(service, "AUDIT_HEAD", "head")).status_code == 404
    fifth = ask(service, "x", key=ben)
    assert fifth.json()["error"] == TEXT.format(4, "per minute")


def look(service: Service, user: str, key: str) -> httpx.Response:
    """How a user stands, as it is told to whoever has the key."""
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.get(f"{service.url}/api/v1/limits/{user}", headers=headers, trust_env=False)


def test_a_model_and_a_tool_have_their_numbers(start_service, receiver):
    service = start_service(
        exporting_to=receiver,
        **MANY,
        AGENT_RATE_LIMIT_MODELS="claude-opus-5-5=2",
        AGENT_RATE_LIMIT_TOOLS="calculate=1",
    )
    statuses = [ask(service, "x", model="claude-opus-5-5").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert ask(service, "x").status_code == 200
    first, second = ask(service, "[sim:tool]"), ask(service, "[sim:tool]")
    assert (first.status_code, second.status_code) == (200, 200)
    (row,) = service.wait_for_rows(entityId=second.json()["id"])
    assert [call["outcome"] for call in row["metadata"]["toolCalls"]] == ["denied"]


def test_an_address_is_refused_before_it_says_who_it_is(start_service):
    service = start_service(**MANY, AGENT_RATE_LIMIT_ADDRESS="5", AGENT_TRUSTED_PROXIES="127.0.0.1")
    unknown = [post(service, "198.51.100.7", "no key") for _ in range(6)]
    assert [answer.status_code for answer in unknown] == [401] * 5 + [429]
    assert unknown[-1].json()["code"] == "rate_limited"
    assert unknown[-1].json()["error"] == TEXT.format(5, "per minute")
    assert "ratelimit" not in unknown[-1].headers
    assert int(unknown[-1].headers["retry-after"]) >= 1
    assert post(service, "198.51.100.8", service.api_key).status_code == 200
    (row,) = service.wait_for_rows(entityId=unknown[-1].headers["x-request-id"])
    assert (row["metadata"]["rateLimit"]["policy"], row["actorId"]) == ("address", None)


def post(service: Service, address: str, key: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}", "X-Forwarded-For": address}
    return httpx.post(f"{service.url}{ROUTE}", json={"message": "x"}, headers=headers, trust_env=False)


def test_a_budget_holds_and_is_told_by_every_signal(start_service, receiver):
    service = start_service(exporting_to=receiver, **MANY, AGENT_BUDGET_USER_DAY_USD="0.05")
    answers = asyncio.run(burst_of(service, 30, SHORT))
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) == {200, 402}
    refused = next(answer for answer in answers if answer.status_code == 402)
    body = refused.json()
    assert (body["code"], body["category"], body["retryable"]) == ("over_budget", "rate_limit", False)
    assert body["error"] == "Your budget is used up. Please contact your administrator."
    limits = httpx.get(
        f"{service.url}/api/v1/limits",
        headers={"Authorization": f"Bearer {service.api_key}"},
        trust_env=False,
    ).json()
    (budget,) = limits["budgets"]
    assert (budget["name"], budget["limit"]) == ("user_day", 0.05)
    assert 0 < budget["spent"] + budget["reserved"] <= 0.05
    assert ask(service, "cheap", **SHORT).status_code == 200  # what was put aside and not used is there again


def test_what_a_refusal_says_is_the_same_everywhere(start_service, receiver):
    service = start_service(exporting_to=receiver, AGENT_BUDGET_TOTAL_MONTH_USD="0.000001")
    refused = ask(service, "hello")
    assert refused.status_code == 402
    said = told(service, receiver, refused.headers["x-request-id"])
    assert (said.line["type"], said.line["code"]) == ("agent_query_refused", "over_budget")
    for span in (said.server, said.agent):
        assert span.attributes["parley.rate_limit.policy"] == "budget_total_month"
        assert span.attributes["parley.error.code"] == "over_budget"
    assert (said.row["action"], said.row["metadata"]["code"]) == ("REFUSED", "over_budget")
    assert said.row["metadata"]["rateLimit"]["policy"] == "budget_total_month"


@pytest.mark.parametrize("stream_it", [False, True])
def test_a_shared_store_counts_for_all_its_processes(start_service, stream_it):
    with Redis() as redis:
        url = {"AGENT_RATE_LIMIT_STORE": redis.url(), "AGENT_REPLICAS": "2"}
        first = start_service(**url, AGENT_SECRET_KEY=SECRET)
        second = start_service(**url, AGENT_SECRET_KEY=SECRET)
        keys = [key_of(each, "GUEST", "ann") for each in (first, second)]
        asked = [(first, keys[0]), (second, keys[1])] * 8
        statuses = [ask(each, "x", key=key, stream=stream_it).status_code for each, key in asked]
        assert Counter(statuses) == {200: 10, 429: 6}
        ready = httpx.get(f"{first.url}/health/ready", trust_env=False).json()
        assert ready["dependencies"]["limits"] == {"status": "up", "detail": "redis, enforce"}


def status_of(service) -> str:
    return httpx.get(f"{service.url}/health/ready", trust_env=False).json()["status"]


def test_without_its_store_the_service_says_so_and_goes_on(start_service):
    # a receiver of its own: in a shared one others may have been left without their store
    with Redis() as redis, Receiver() as receiver:
        service = start_service(exporting_to=receiver, AGENT_RATE_LIMIT_STORE=redis.url(), AGENT_REPLICAS="2")
        # a new memory is not believed before others had time to tell it what they admitted
        wait(lambda: status_of(service) == "ready", seen=service.said)
        before = len(service.lines(type="limits_degraded"))
        assert ask(service, "x").status_code == 200
        redis.stop()
        answers = asyncio.run(burst(service, 20))
        # the share is half of 20, and one was admitted before
        assert Counter(answer.status_code for answer in answers) == {200: 9, 429: 11}
        assert {answer.headers.get("ratelimit-degraded") for answer in answers} == {"true"}
        ready = httpx.get(f"{service.url}/health/ready", trust_env=False)
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        wait(lambda: total(receiver, "parley.rate_limit.degraded") == 1)
        (row,) = service.wait_for_rows(entityId=answers[0].headers["x-request-id"])
        assert (row["metadata"]["rateLimit"]["store"], row["metadata"]["rateLimit"]["degraded"]) == (
            "local",
            True,
        )
        redis.start()
        wait(lambda: status_of(service) == "ready")
        wait(lambda: total(receiver, "parley.rate_limit.degraded") == 0)
        # its line may come after the state that it tells of
        wait(lambda: len(service.lines(type="limits_restored")) > before, seen=service.said)
        types = [line["type"] for line in service.lines()]
        assert (types.count("limits_degraded"), types.count("limits_restored")) == (before + 1, before + 1)


def test_a_store_that_may_forget_is_said_to_be_one(start_service):
    with Redis(**{"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"}) as redis:
        service = start_service(AGENT_RATE_LIMIT_STORE=redis.url())
        ready = httpx.get(f"{service.url}/health/ready", trust_env=False).json()
        told = "redis, enforce: its maxmemory-policy may forget counts: set noeviction"
        assert ready["dependencies"]["limits"] == {"status": "up", "detail": told}
