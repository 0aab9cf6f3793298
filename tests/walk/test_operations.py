"""The board of operators over a real service: the numbers that it tells are those that were exported."""

import json
from collections import Counter

import httpx
import pytest

from tests.conftest import SOON
from tests.harness.chat import ask, stream
from tests.harness.otlp import Receiver
from tests.harness.redis import Redis
from tests.harness.service import Service
from tests.harness.waiting import wait

PATH = "/api/v1/operations"
ASKED = {
    **dict.fromkeys(("Hello", "What is 12*7? [sim:tool]", "[sim:529] x", "[sim:refuse] x", ""), 3),
    "[sim:slow:2000] x": 1,
}
FLOOD = 26
ROLES = "AUDITEE=1000,GUEST=2"


def made(service, role, user):
    told = service.cli("keys", "create", "--user", user, "--role", role, "--json")
    return json.loads(told.stdout)["key"]


def board(service, key, period="15m", **headers):
    headers = {"authorization": f"Bearer {key}"} | headers
    return httpx.get(
        service.url + PATH, params={"period": period}, headers=headers, trust_env=False, timeout=30
    )


def mixed(service):
    """Turns of every kind, a flood of refusals among them; how many."""
    guest = made(service, "GUEST", "gus")
    for message, times in ASKED.items():
        for _ in range(times):
            if message.startswith("[sim:slow"):
                with stream(service, message) as answer:
                    answer.until("text")
            else:
                ask(service, message)
    for _ in range(FLOOD):
        ask(service, "Hello", key=guest)
    ask(service, "Hello", key="parley_wrong")
    return sum(ASKED.values()) + FLOOD + 1


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def run(request, tmp_path_factory):
    """Two workers on one database that were asked a lot, what they exported, and somebody who may look."""
    settings = SOON | {"AGENT_RATE_LIMIT_ROLES": ROLES, "AGENT_BUDGET_USER_DAY_USD": "5"}
    if request.param == "postgres":
        settings["DATABASE_URL"] = request.getfixturevalue("postgres").database()
    with Redis() as redis, Receiver() as receiver:
        settings |= receiver.settings() | {"AGENT_RATE_LIMIT_STORE": redis.url()}
        with Service(tmp_path_factory.mktemp("board"), settings, arguments=("--workers", "2")) as service:
            number = mixed(service)
            head = made(service, "AUDIT_HEAD", "head")
            wait(lambda: board(service, head).json()["turns"]["total"] == number, 60, seen=service.said)
            receiver.wait(lambda: sum(point.value for point in receiver.points("parley.turns")) == number)
            yield service, head, receiver


def exported(receiver, name, *labels):
    """The counters of all processes, by these labels, as far as they are not 0."""
    found = Counter()
    for point in receiver.points(name):
        found[tuple(point.attributes[label] for label in labels)] += point.value
    return {labels: round(value, 6) for labels, value in found.items() if value}


def test_the_totals_are_the_exported_counters(run):
    service, head, receiver = run
    told = board(service, head).json()
    outcomes = {(name,): count for name, count in told["turns"]["byOutcome"].items() if count}
    assert outcomes == exported(receiver, "parley.turns", "outcome")
    assert {"answered", "refused", "failed"} < {name for (name,) in outcomes}
    errors = {(each["category"], each["fault"]): each["count"] for each in told["errors"]["byCategory"]}
    assert errors == exported(receiver, "parley.errors", "category", "fault")
    decisions = {(each["decision"], each["policy"]): each["count"] for each in told["limits"]["decisions"]}
    assert decisions == exported(receiver, "parley.rate_limit.decisions", "decision", "policy")
    assert decisions["denied", "role"] == FLOOD - 2
    for label, part in (("role", "byRole"), ("model", "byModel")):
        cost = {(each["key"],): round(each["cost"], 6) for each in told["cost"][part] if each["cost"]}
        assert cost == exported(receiver, "parley.cost", label)
    assert round(told["cost"]["total"], 6) == sum(exported(receiver, "parley.cost").values())


def test_as_many_turns_and_first_texts_are_timed_as_were_exported(run):
    service, head, receiver = run
    told = board(service, head).json()
    for part, name in (
        ("latency", "gen_ai.invoke_agent.duration"),
        ("firstText", "gen_ai.client.operation.time_to_first_chunk"),
    ):
        points = receiver.points(name)
        assert told[part]["count"] == sum(point.count for point in points) > 0
        assert 0 < told[part]["p50"] <= told[part]["p95"] <= told[part]["p99"]


def test_each_period_and_each_part_adds_up_to_the_same(run):
    service, head, _ = run
    reports = [board(service, head, period).json() for period in ("15m", "1h", "24h", "7d")]
    for told in reports:
        assert told["complete"]
        assert told["turns"] | {"series": None} == reports[0]["turns"] | {"series": None}
        assert sum(map(sum, told["turns"]["series"].values())) == told["turns"]["total"]
        assert sum(map(sum, told["errors"]["series"].values())) == told["errors"]["total"]
        assert round(sum(told["cost"]["series"]), 6) == round(told["cost"]["total"], 6)
        for part in ("byUser", "byRole", "byModel", "byDay"):
            assert sum(row["turns"] for row in told["cost"][part]) == told["turns"]["total"]


def test_every_worker_tells_the_same_of_the_log(run):
    service, head, _ = run
    told = {}

    def both():
        report = board(service, head).json()
        told[report["process"]["number"]] = report
        return len(told) == 2

    wait(both, 60)
    one, other = told.values()
    for part in ("turns", "errors", "latency", "firstText", "limits", "budgets", "cost"):
        assert without_series(one[part]) == without_series(other[part])


def without_series(part):
    return {**part, "series": None} if isinstance(part, dict) else part


def test_who_was_refused_and_came_near_and_what_they_cost(run):
    service, head, _ = run
    told = board(service, head).json()
    (refused,) = told["limits"]["refused"]
    assert refused == {
        "user": "gus", "role": "GUEST", "policy": "role", "decision": "denied", "count": FLOOD - 2
    }  # fmt: skip
    near = {each["user"]: each["left"] for each in told["limits"]["near"]}
    assert near["gus"] == 0.0
    assert near["dev"] > 0.9
    users = {each["key"]: each for each in told["cost"]["byUser"]}
    assert {"dev", "gus", None} == set(users)
    budgets = {each["subject"]: each for each in told["budgets"]}
    assert budgets["dev"]["limit"] == 5.0
    assert round(budgets["dev"]["spent"], 6) == round(users["dev"]["cost"], 6)


def test_what_has_not_changed_is_not_sent_again(run):
    service, head, _ = run

    def unchanged():
        tag = board(service, head).headers["etag"]
        again = board(service, head, **{"if-none-match": tag})
        return again if again.status_code == 304 else None

    again = wait(unchanged)
    assert again.content == b""
    assert board(service, head, **{"if-none-match": '"else"'}).status_code == 200


@pytest.mark.parametrize(
    ("role", "status"),
    [
        ("CFO", 200),
        ("CXO_TEAM", 200),
        ("AUDIT_HEAD", 200),
        ("AUDITOR", 403),
        ("AUDITEE", 403),
        ("GUEST", 403),
    ],
)
def test_who_may_look(run, role, status):
    service, _, _ = run
    assert board(service, made(service, role, role.lower())).status_code == status
    assert board(service, "parley_wrong").status_code == 401
    assert board(service, made(service, "CFO", "cfo"), "2h").status_code == 400
