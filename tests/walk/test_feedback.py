"""What callers say of their turns, over the real service: their own alone, kept sealed, told and counted."""

import json

import httpx
import pytest

from tests.conftest import MANY, SOON
from tests.harness.chat import ask, stream
from tests.harness.problems import problem
from tests.harness.service import Service
from tests.harness.telling import total

COUNTS = "/api/v1/feedback"
WORDS = "zq9 exactly what I needed"
NOWHERE = "01a21cb2-8832-766f-817c-243af220089e"


@pytest.fixture(scope="module")
def rated(receiver, tmp_path_factory):
    settings = receiver.settings() | SOON | MANY
    with Service(tmp_path_factory.mktemp("rated"), settings) as service:
        yield service


@pytest.fixture(scope="module")
def keys(rated):
    """Keys by role, each of a user of that name."""

    def made(role, *more):
        arguments = ("keys", "create", "--user", role.lower(), "--role", role, *more, "--json")
        return json.loads(rated.cli(*arguments).stdout)["key"]

    return {role: made(role) for role in ("AUDIT_HEAD", "AUDITOR", "GUEST", "CFO")}


def path(turn):
    return f"/api/v1/agent/turns/{turn}/feedback"


def send(service, method, where, key=None, **more):
    key = service.api_key if key is None else key
    bearer = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.request(method, f"{service.url}{where}", headers=bearer, trust_env=False, timeout=30, **more)


def give(service, turn, rating="up", key=None, **more):
    return send(service, "PUT", path(turn), key, json={"rating": rating, **more})


def events(service, turn):
    query = """SELECT * FROM "AuditEvent" WHERE "entityType" = 'AGENT_FEEDBACK' ORDER BY "logIndex" """
    rows = [row | {"metadata": json.loads(row["metadata"])} for row in service.sql(query)]
    return [row for row in rows if row["entityId"] == turn]


def test_it_is_given_again_read_and_taken_back(rated):
    turn = ask(rated, "Hello").json()
    problem(send(rated, "GET", path(turn["id"])), 404, "not_found")
    given = give(rated, turn["id"], comment=WORDS)
    assert given.status_code == 200
    assert (given.json()["rating"], given.json()["comment"]) == ("up", WORDS)
    assert given.json()["traceId"] == turn["traceId"]
    assert send(rated, "GET", path(turn["id"])).json() == given.json()
    again = give(rated, turn["id"], "down").json()
    assert (again["rating"], again["comment"]) == ("down", None)
    assert send(rated, "GET", path(turn["id"].upper())).json() == again
    assert send(rated, "DELETE", path(turn["id"])).status_code == 204
    for method in ("GET", "DELETE"):
        problem(send(rated, method, path(turn["id"])), 404, "not_found")
    told = [(row["action"], row["actorId"], row["metadata"]) for row in events(rated, turn["id"])]
    assert [(action, user) for action, user, _ in told] == [("FEEDBACK", "dev")] * 3
    said = [(each["rating"], each["withdrawn"], each["commented"]) for _, _, each in told]
    assert said == [("up", False, True), ("down", False, False), ("down", True, False)]


def test_line_metric_and_event_say_it_and_nobody_says_the_comment(rated, receiver):
    before = total(receiver, "parley.feedback", rating="down")
    turn = ask(rated, "Hello").json()
    assert give(rated, turn["id"], "down", comment=WORDS).status_code == 200
    line = rated.wait_for_line(type="feedback_given", turnId=turn["id"])
    assert (line["traceId"], line["rating"], line["userId"]) == (turn["traceId"], "down", "dev")
    assert (line["commented"], line["model"]) == (True, turn["model"])
    # an earlier rating may have come after `before` was read
    receiver.wait(lambda: total(receiver, "parley.feedback", rating="down") > before)
    assert [span for span in receiver.spans() if span.name == "PUT " + path("{turn_id}")]
    assert "zq9" not in json.dumps(
        [rated.stdout, [dict(span.attributes) for span in receiver.spans()]], default=str
    )
    database = (rated.cwd / "var").rglob("parley.db*")
    assert not [file for file in database if b"zq9 exactly" in file.read_bytes()]


def test_a_turn_of_another_and_one_that_never_was_are_the_same(rated, keys):
    turn = ask(rated, "Hello").json()["id"]
    refused = [
        problem(give(rated, each, key=key), 404, "not_found")["detail"]
        for each, key in ((turn, keys["GUEST"]), (turn, keys["AUDIT_HEAD"]), (NOWHERE, None))
    ]
    assert len(set(refused)) == 1
    assert give(rated, turn).status_code == 200
    problem(send(rated, "GET", path(turn), keys["AUDIT_HEAD"]), 404, "not_found")
    problem(send(rated, "DELETE", path(turn), keys["AUDIT_HEAD"]), 404, "not_found")
    problem(give(rated, turn, key=""), 401, "unauthenticated")


def test_a_turn_that_failed_is_rated_as_well(rated):
    failed = ask(rated, "[sim:500]")
    given = give(rated, failed.headers["x-request-id"], "down", comment="no answer")
    assert given.json()["traceId"] == failed.headers["x-trace-id"]


def test_a_stream_is_rated_as_soon_as_it_is_done(rated):
    with stream(rated, "Hello") as answer:
        done = answer.rest()[-1].data
    assert give(rated, done["id"]).json()["traceId"] == done["traceId"]


WRONG = {
    "nothing": ({}, ["rating"]),
    "another word": ({"rating": "good"}, ["rating"]),
    "a long comment": ({"rating": "up", "comment": "x" * 2_001}, ["comment"]),
    "no comment": ({"rating": "up", "comment": ""}, ["comment"]),
    "an unknown field": ({"rating": "up", "stars": 5}, ["stars"]),
}


@pytest.mark.parametrize(("body", "fields"), WRONG.values(), ids=WRONG)
def test_what_is_no_rating_is_named(rated, body, fields):
    said = problem(send(rated, "PUT", path(NOWHERE), json=body), 400, "invalid_request")
    assert [each["field"] for each in said["errors"]] == fields


def test_who_looks_at_the_turn_in_the_audit_sees_it_as_far_as_they_may(rated, keys):
    turn = ask(rated, "Hello").json()["id"]
    give(rated, turn, comment=WORDS)
    (row,) = rated.wait_for_rows(entityId=turn)
    event = f"/api/v1/audit/events/{row['id']}"
    head = send(rated, "GET", event, keys["AUDIT_HEAD"]).json()["metadata"]["feedback"]
    auditor = send(rated, "GET", event, keys["AUDITOR"]).json()["metadata"]["feedback"]
    assert (head["rating"], head["comment"]) == ("up", WORDS)
    assert auditor == {"rating": "up", "givenAt": head["givenAt"]}


def test_it_is_counted_by_model_for_whoever_may_see_usage(rated, keys):
    before = send(rated, "GET", COUNTS, keys["CFO"]).json()["total"]
    turn = ask(rated, "Hello").json()
    give(rated, turn["id"])
    told = send(rated, "GET", COUNTS, keys["CFO"]).json()
    assert told["total"] == {"up": before["up"] + 1, "down": before["down"]}
    assert turn["model"] in [each["model"] for each in told["rows"]]
    assert sum(each["up"] + each["down"] for each in told["rows"]) == sum(told["total"].values())
    span = {"from": "2020-01-01", "to": "2020-01-02"}
    empty = send(rated, "GET", COUNTS, keys["CFO"], params=span).json()
    assert empty == {"rows": [], "total": {"up": 0, "down": 0}}
    problem(send(rated, "GET", COUNTS), 403, "forbidden")


def test_it_goes_with_the_person(start_service):
    service = start_service()
    turn = ask(service, "Hello").json()["id"]
    give(service, turn, comment=WORDS)
    head = json.loads(service.cli("keys", "create", "--user", "h", "--role", "AUDIT_HEAD", "--json").stdout)[
        "key"
    ]
    twice = {"subject": "dev", "confirm": "dev"}
    assert send(service, "POST", "/api/v1/audit/erasures", head, json=twice).status_code == 200
    assert service.sql("SELECT * FROM feedback") == []
    (row,) = service.wait_for_rows(entityId=turn)
    told = send(service, "GET", f"/api/v1/audit/events/{row['id']}", head).json()
    assert "feedback" not in told["metadata"]
    assert service.cli("audit", "verify").returncode == 0


def test_without_an_audit_it_is_kept_all_the_same(start_service):
    service = start_service(AGENT_AUDIT_LOGGING_ENABLED="false")
    turn = ask(service, "Hello").json()["id"]
    assert give(service, turn).json()["traceId"] is None
    assert service.sql("SELECT rating FROM feedback") == [{"rating": "up"}]
    assert service.sql("SELECT * FROM audit_event") == []
