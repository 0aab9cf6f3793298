"""How often a caller may ask: the burst, the refusal, the window, the roles and the modes."""

import asyncio
import json
import re
from collections import Counter

import httpx
import pytest

from tests.conftest import SOON
from tests.harness.chat import ROUTE, ask, stream
from tests.harness.service import Service
from tests.harness.telling import ending, told

TEXT = "Rate limit exceeded. You can send up to {} requests {}. Please wait a moment and try again."


async def burst(service: Service, count: int, key: str | None = None) -> list[httpx.Response]:
    """So many questions at once, each on a connection of its own."""
    headers = {"Authorization": f"Bearer {key or service.api_key}"}
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(
        base_url=service.url, headers=headers, limits=limits, timeout=30, trust_env=False
    ) as client:
        asked = [client.post(ROUTE, json={"message": f"Number {number}"}) for number in range(count)]
        return await asyncio.gather(*asked)


def key_of(service: Service, role: str, user: str) -> str:
    """A new key, made by the command."""
    made = service.cli("keys", "create", "--user", user, "--role", role, "--json")
    assert made.returncode == 0, made.stderr
    return json.loads(made.stdout)["key"]


@pytest.fixture(scope="module")
def limited(receiver, tmp_path_factory):
    """The numbers of the contract, but two for guests and three for roles without a number."""
    settings = {"AGENT_RATE_LIMIT_ROLES": "GUEST=2", "AGENT_RATE_LIMIT_REQUESTS": "3"}
    with Service(tmp_path_factory.mktemp("limited"), receiver.settings() | SOON | settings) as service:
        yield service


@pytest.fixture(scope="module")
def answers(limited):
    return asyncio.run(burst(limited, 25))


@pytest.fixture(scope="module")
def refused(answers):
    return [answer for answer in answers if answer.status_code == 429]


def test_of_25_at_once_exactly_20_are_answered(answers):
    assert Counter(answer.status_code for answer in answers) == {200: 20, 429: 5}


def test_each_admission_took_one(answers):
    left = [answer.headers["ratelimit"] for answer in answers if answer.status_code == 200]
    remaining = [int(re.fullmatch(r'"role";r=(\d+);t=\d+', header)[1]) for header in left]
    assert sorted(remaining) == list(range(20))
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"role";q=20;w=60'}


def test_a_refusal_says_who_refused_and_when_to_come_back(refused):
    for answer in refused:
        body = answer.json()
        assert body["error"] == TEXT.format(20, "per minute")
        assert (body["category"], body["code"], body["fault"], body["retryable"]) == (
            "rate_limit",
            "rate_limited",
            "policy",
            True,
        )
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert answer.headers["ratelimit"].startswith('"role";r=0;t=')


def test_a_refusal_is_told_by_every_signal(limited, receiver, refused):
    for answer in refused:
        turn = told(limited, receiver, answer.json()["requestId"])
        assert (turn.row["outcome"], turn.row["code"], turn.row["costMicros"]) == (
            "refused",
            "rate_limited",
            0,
        )
        assert turn.row["metadata"]["rateLimit"]["decision"] == "denied"
        assert (turn.line["type"], turn.line["level"]) == ("rate_limit_exceeded", "WARN")
        assert (turn.line["policy"], turn.line["limit"]) == ("role", 20)
        assert turn.line["retryAfter"] <= int(answer.headers["retry-after"])
        for span in (turn.agent, turn.server):
            assert span.attributes["parley.rate_limit.decision"] == "denied"
            assert span.attributes["parley.rate_limit.retry_after_ms"] > 0
            assert span.attributes["parley.error.category"] == "rate_limit"
        assert len(receiver.spans(turn.row["traceId"])) == 2


def test_the_decisions_are_counted(receiver, refused):
    (instance,) = {
        span.resource["service.instance.id"] for span in receiver.wait_for_trace(refused[0].json()["traceId"])
    }

    def counted() -> dict[str, float]:
        points = receiver.points("parley.rate_limit.decisions", {"role": "AUDITEE", "policy": "role"})
        ours = [point for point in points if point.resource["service.instance.id"] == instance]
        return {point.attributes["decision"]: point.value or 0 for point in ours}

    receiver.wait(lambda: counted() == {"allowed": 20, "denied": 5, "observed": 0})


def test_a_stream_is_refused_with_a_status(limited, refused):
    assert refused
    with stream(limited, "Hello") as answer:
        assert answer.response.status_code == 429
        assert answer.problem()["code"] == "rate_limited"


def test_a_refused_body_and_a_refused_key_cost_nothing(limited):
    key = key_of(limited, "GUEST", "careless")
    for _ in range(5):
        assert ask(limited, "", key=key).status_code == 400
        assert ask(limited, "Hello", key=key[:-1]).status_code == 401
    assert [ask(limited, "Hello", key=key).status_code for _ in range(3)] == [200, 200, 429]


def test_a_400_says_how_its_caller_stands(limited):
    key = key_of(limited, "GUEST", "curious")
    assert ask(limited, "", key=key).headers["ratelimit"] == '"role";r=2;t=0'
    assert ask(limited, "Hello", key=key).headers["ratelimit"] == '"role";r=1;t=60'


@pytest.mark.parametrize(
    ("role", "limit"), [("CFO", 100), ("AUDIT_HEAD", 50), ("AUDITOR", 30), ("GUEST", 2), ("ZEBRA", 3)]
)
def test_each_role_has_its_number(limited, role, limit):
    response = ask(limited, "Hello", key=key_of(limited, role, f"one-{role.lower()}"))
    assert response.headers["ratelimit-policy"] == f'"role";q={limit};w=60'
    assert response.headers["ratelimit"].startswith(f'"role";r={limit - 1};')


def test_callers_do_not_use_up_each_others_numbers(limited):
    one, two = key_of(limited, "GUEST", "ann"), key_of(limited, "GUEST", "bob")
    assert [ask(limited, "Hello", key=one).status_code for _ in range(3)] == [200, 200, 429]
    assert ask(limited, "Hello", key=two).status_code == 200


def test_two_keys_of_one_user_share_one_number(limited):
    one, two = key_of(limited, "GUEST", "eve"), key_of(limited, "GUEST", "eve")
    assert [ask(limited, "Hello", key=key).status_code for key in (one, two, one)] == [200, 200, 429]


async def test_after_the_window_a_caller_is_admitted_again(start_service):
    service = start_service(AGENT_RATE_LIMIT_WINDOW_MS="1000", AGENT_RATE_LIMIT_ROLES="AUDITEE=5")
    ask(service, "The first question also waits for the model's library to load.")
    await asyncio.sleep(1.1)
    answers = await burst(service, 8)
    assert Counter(answer.status_code for answer in answers) == {200: 5, 429: 3}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error"] == TEXT.format(5, "per second")
    assert refused.headers["retry-after"] == "1"
    await asyncio.sleep(int(refused.headers["retry-after"]))
    assert ask(service, "Hello").status_code == 200


async def test_observe_refuses_nothing_and_tells_what_it_would_have(start_service, receiver):
    service = start_service(receiver, AGENT_RATE_LIMIT_MODE="observe", AGENT_RATE_LIMIT_ROLES="AUDITEE=3")
    answers = await burst(service, 5)
    assert {answer.status_code for answer in answers} == {200}
    turns = [told(service, receiver, answer.json()["id"]) for answer in answers]
    decisions = Counter(turn.row["metadata"]["rateLimit"]["decision"] for turn in turns)
    assert decisions == {"allowed": 3, "observed": 2}
    assert Counter(turn.agent.attributes["parley.rate_limit.decision"] for turn in turns) == decisions
    assert {turn.line["type"] for turn in turns} == {"agent_query_completed"}


async def test_with_limits_off_nobody_is_counted(bare):
    answers = await burst(bare, 30)
    assert {answer.status_code for answer in answers} == {200}
    assert not [answer for answer in answers if "ratelimit" in answer.headers]


def test_a_429_has_one_ending(limited, refused):
    for answer in refused:
        assert ending(limited, answer.json()["requestId"])["code"] == "rate_limited"
