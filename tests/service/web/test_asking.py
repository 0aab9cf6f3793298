import csv
import io
import itertools
import json
import logging

import pytest

from service.auth.permissions import Action, may
from service.store.keys import StoredKey
from service.web import export
from tests.harness.problems import problem
from tests.service.store.rows import CREATED_AT, Row
from tests.service.web.asking import NOW, asking, caller_of

EVENTS, EXPORT, USAGE, LIMITS = (
    "/api/v1/audit/events",
    "/api/v1/audit/export",
    "/api/v1/usage",
    "/api/v1/limits",
)
CALLERS = [
    "c/CFO",
    "x/CXO_TEAM",
    "h/AUDIT_HEAD",
    "a/AUDITOR",
    "s/AUDITOR/audit:content",
    "e/AUDITEE",
    "g/GUEST",
    "o/INTERN",
    "o/INTERN/audit:content",
    "c/CFO/audit:content",
]
NEEDED = {
    EVENTS: Action.AUDIT,
    f"{EVENTS}/event-0001": Action.AUDIT,
    f"{EVENTS}?q=spend": Action.AUDIT_CONTENT,
    EXPORT: Action.EXPORT,
    f"{EXPORT}?format=csv": Action.EXPORT,
    f"{EVENTS}/event-0001/proof": Action.AUDIT,
    "/api/v1/audit/verify": Action.VERIFY,
    "/api/v1/audit/key": Action.AUDIT,
    f"{EXPORT}?q=spend": Action.AUDIT_CONTENT,
    USAGE: Action.OWN,
    LIMITS: Action.OWN,
    f"{LIMITS}/user-1": Action.LIMITS_ALL,
    f"{LIMITS}/nobody": Action.LIMITS_ALL,
}


@pytest.fixture
async def asked(tmp_path):
    async with asking(f"sqlite:///{tmp_path}/parley.db") as made:
        rows = [
            Row(
                id=f"event-{number:04d}",
                created_at=CREATED_AT + number,
                metadata=json.dumps({"toolsCalled": ["calculate"] if number % 2 else []}),
            )
            for number in range(5)
        ]
        await made.database.audit.append(rows)
        yield made


def ids(response):
    assert response.status_code == 200
    return [int(event["id"][-4:]) for event in response.json()["events"]]


@pytest.mark.parametrize(("path", "caller"), [*itertools.product(NEEDED, CALLERS)])
async def test_whoever_may_is_let_in_and_nobody_else(asked, path, caller):
    allowed = may(caller_of(*caller.split("/")), NEEDED[path])
    response = await asked.get(path, caller)
    if not allowed:
        problem(response, 403, "forbidden")
        assert asked.noted == []
    else:
        assert response.status_code == (404 if path.endswith("nobody") else 200)


@pytest.mark.parametrize("path", [*NEEDED, f"{EVENTS}?nonsense=1"])
async def test_nobody_is_told_nothing(asked, path, caplog):
    caplog.set_level(logging.INFO, logger="parley")
    body = problem(await asked.get(path, None), 401, "unauthenticated")
    assert body["errors"] == []
    assert [record.message for record in caplog.records if record.name == "parley"] == ["access_denied"]


async def test_a_refusal_leaves_a_line_that_says_who(asked, caplog):
    caplog.set_level(logging.INFO, logger="parley")
    await asked.get(EVENTS, "eve/AUDITEE")
    (line,) = (record.line for record in caplog.records if record.name == "parley")
    assert line.fields == {
        "reason": "Your role does not include audit.",
        "route": f"GET {EVENTS}",
        "userId": "eve",
        "category": "authorization",
        "code": "forbidden",
    }
    assert (line.level, line.pseudonym) == (logging.WARNING, "p1")


async def test_the_line_of_a_refusal_says_the_route_and_not_whom_it_was_about(asked, caplog):
    caplog.set_level(logging.INFO, logger="parley")
    problem(await asked.get("/api/v1/limits/somebody", "eve/AUDITEE"), 403, "forbidden")
    (line,) = (record.line for record in caplog.records if record.name == "parley")
    assert line.fields["route"] == "GET /api/v1/limits/{subject}"
    assert "somebody" not in str(line.fields)


async def test_permission_comes_before_the_parameters(asked):
    problem(await asked.get(EVENTS, "e/AUDITEE", limit=0), 403, "forbidden")
    body = problem(await asked.get(EVENTS, "a/AUDITOR", limit=0, nonsense=1), 400, "invalid_request")
    assert [each["field"] for each in body["errors"]] == ["nonsense", "limit"]


async def test_pages_follow_their_cursors_to_the_end(asked):
    seen, cursor = [], {}
    while True:
        response = await asked.get(EVENTS, limit=2, **cursor)
        seen += ids(response)
        if response.json()["nextCursor"] is None:
            break
        cursor = {"cursor": response.json()["nextCursor"]}
    assert seen == [4, 3, 2, 1, 0]


async def test_a_cursor_is_bound_to_its_filters_and_not_to_the_page_size(asked):
    cursor = (await asked.get(EVENTS, limit=2, role="CFO")).json()["nextCursor"]
    assert ids(await asked.get(EVENTS, limit=1, role="CFO", cursor=cursor)) == [2]
    for other in (
        {},
        {"role": "GUEST"},
        {"role": "CFO", "actor": "user-1"},
        {"role": "CFO", "to": "2999-01-01"},
    ):
        body = problem(await asked.get(EVENTS, cursor=cursor, **other), 400, "invalid_request")
        assert [each["field"] for each in body["errors"]] == ["cursor"]
    problem(await asked.get(EVENTS, role="CFO", cursor=cursor[:-1]), 400, "invalid_request")


async def test_an_event_is_the_views_columns(asked):
    event = (await asked.get(EVENTS, limit=1)).json()["events"][0]
    assert event == (await asked.get(f"{EVENTS}/event-0004")).json()
    assert event == {
        "id": "event-0004",
        "entityType": "AGENT_QUERY",
        "entityId": "turn-1",
        "action": "QUERY",
        "actorId": "user-1",
        "metadata": {"toolsCalled": [], "query": "How much did we spend?"},
        "createdAt": "2025-11-24T16:00:00.123Z",
        "role": "CFO",
        "outcome": "answered",
        "category": None,
        "code": None,
        "model": "model-1",
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "requestId": "request-1",
        "inputTokens": 100,
        "outputTokens": 20,
        "totalTokens": 120,
        "cost": 1.25,
        "costMicros": 1_250_000,
        "responseTime": 1500,
        "count": 1,
        "logIndex": 4,
    }


@pytest.mark.parametrize("event_id", ["nothing", "event-0004%00", "%25", "%20", "%C3%BC"])
async def test_an_event_that_is_not_there_is_not_found(asked, event_id):
    problem(await asked.get(f"{EVENTS}/{event_id}"), 404, "not_found")
    assert asked.noted == []


@pytest.mark.parametrize("path", [f"{EVENTS}/event-0001", LIMITS, f"{LIMITS}/user-1"])
async def test_routes_without_parameters_refuse_them(asked, path):
    body = problem(await asked.get(path, limit=1), 400, "invalid_request")
    assert body["errors"] == [{"field": "limit", "message": "Unknown parameter"}]


@pytest.mark.parametrize("caller", ["a/AUDITOR", "a/AUDITOR/other:scope"])
async def test_who_may_not_see_content_sees_all_but_content(asked, caller):
    page = await asked.get(EVENTS, caller)
    one = await asked.get(f"{EVENTS}/event-0001", caller)
    jsonl, sheet = await asked.get(EXPORT, caller), await asked.get(EXPORT, caller, format="csv")
    for text in (page.text, one.text, jsonl.text, sheet.text):
        assert "spend" not in text
        assert "masked" in text
    assert one.json()["metadata"] == {"toolsCalled": ["calculate"], "query": None, "content": "masked"}
    assert [row.action for row in asked.noted] == ["EXPORT", "EXPORT"]


@pytest.mark.parametrize("caller", ["h/AUDIT_HEAD", "a/AUDITOR/audit:content"])
async def test_seeing_content_leaves_a_row_that_says_who_and_what(asked, caller):
    user, role, *_ = caller.split("/")
    page = await asked.get(EVENTS, caller, q="spend", role="CFO", from_="2025-01-01")
    one = await asked.get(f"{EVENTS}/event-0001", caller)
    await asked.get(EXPORT, caller)
    read, shown, exported = asked.noted
    assert [(row.entity_type, row.action) for row in asked.noted] == [
        ("AUDIT_ACCESS", "READ"),
        ("AUDIT_ACCESS", "READ"),
        ("AUDIT_ACCESS", "EXPORT"),
    ]
    assert {(row.actor_id, row.role, row.created_at) for row in asked.noted} == {(user, role, NOW)}
    assert (read.entity_id, read.query) == (page.headers["x-request-id"], "spend")
    assert (shown.entity_id, shown.request_id) == ("event-0001", one.headers["x-request-id"])
    told = json.loads(read.metadata)
    assert told["route"] == f"GET {EVENTS}"
    assert told["filters"] == {"role": "CFO", "entity_type": "AGENT_QUERY", "since": 1_735_689_600_000_000}
    assert "spend" not in read.metadata
    assert json.loads(exported.metadata)["route"] == f"GET {EXPORT}"


async def test_a_look_is_kept_as_an_event_and_shown_to_those_who_ask_for_it(asked):
    await asked.get(EVENTS, q="spend")
    await asked.database.audit.append(asked.noted)
    assert ids(await asked.get(EVENTS)) == [4, 3, 2, 1, 0]
    (look,) = (await asked.get(EVENTS, entityType="AUDIT_ACCESS")).json()["events"]
    assert (look["action"], look["metadata"]["query"], look["outcome"]) == ("READ", "spend", None)
    assert len((await asked.get(EVENTS, entityType="all")).json()["events"]) == 6
    (masked,) = (await asked.get(EVENTS, "a/AUDITOR", entityType="AUDIT_ACCESS")).json()["events"]
    assert "spend" not in json.dumps(masked)


async def test_an_export_is_every_event_that_is_meant(asked):
    many = [Row(id=f"many-{number:05d}", created_at=CREATED_AT + 100 + number) for number in range(1_001)]
    await asked.database.audit.append(many)
    response = await asked.get(EXPORT)
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.headers["content-disposition"] == 'attachment; filename="audit-events.jsonl"'
    found = [json.loads(line)["id"] for line in response.text.splitlines()]
    assert len(found) == len(set(found)) == 1_006
    sheet = await asked.get(EXPORT, format="csv", tool="calculate")
    assert sheet.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(sheet.text, newline="")))
    assert rows[0] == list(export.HEADER)
    assert [row[0] for row in rows[1:]] == ["event-0003", "event-0001"]


async def test_an_export_without_a_database_is_a_problem_and_no_file(asked):
    await asked.database.close()
    problem(await asked.get(EXPORT), 500, "database_error")
    problem(await asked.get(EVENTS), 500, "database_error")
    problem(await asked.get(USAGE), 500, "database_error")
    assert asked.noted == []


async def test_usage_of_all_is_for_those_who_may_and_others_see_their_own(asked):
    await asked.database.audit.append([Row(id="other", actor_id="e", cost_micros=3)])
    whole = (await asked.get(USAGE, "c/CFO")).json()
    assert whole == {
        "rows": [
            {"key": "user-1", "turns": 5, "inputTokens": 500, "outputTokens": 100, "cost": 6.25},
            {"key": "e", "turns": 1, "inputTokens": 100, "outputTokens": 20, "cost": 0.000003},
        ],
        "total": {"turns": 6, "inputTokens": 600, "outputTokens": 120, "cost": 6.250003},
    }
    for caller in ("e/AUDITEE", "e/AUDITOR", "e/GUEST"):
        for grouping in ("user", "role", "model", "tool", "day"):
            own = (await asked.get(USAGE, caller, groupBy=grouping)).json()
            assert own["total"] == {"turns": 1, "inputTokens": 100, "outputTokens": 20, "cost": 0.000003}
            assert sum(row["turns"] for row in own["rows"]) == 1


async def test_a_callers_own_limits_cost_nothing_to_ask(asked):
    own = {"name": "role", "limit": 20, "window": 60.0, "remaining": 20, "reset": 0.0}
    running = {"name": "concurrency", "limit": 100, "window": 60.0, "remaining": 100, "reset": 0.0}
    for _ in range(30):
        assert (await asked.get(LIMITS, "e/AUDITEE")).json() == {
            "policies": [own, running],
            "budgets": [],
            "degraded": False,
        }
    await asked.admit("e", "AUDITEE")
    for path in (LIMITS, f"{LIMITS}/e"):
        policy, running = (await asked.get(path, "e/AUDITEE")).json()["policies"]
        assert (policy["remaining"], running["remaining"]) == (19, 99)
        assert 59 < policy["reset"] <= 60


async def test_the_limits_of_another_are_those_of_the_role_they_had_last(asked):
    await asked.admit("user-1", "CFO")
    policy, _ = (await asked.get(f"{LIMITS}/user-1")).json()["policies"]
    assert (policy["limit"], policy["remaining"]) == (100, 99)
    key = StoredKey(id="k", user_id="a/b@c", role="GUEST", scopes=(), digest="x", created_at=CREATED_AT + 10)
    await asked.database.keys.add(key)
    policy, _ = (await asked.get(f"{LIMITS}/a%2Fb@c")).json()["policies"]
    assert policy["limit"] == 10


async def test_the_head_of_audit_lets_a_caller_begin_anew_and_it_is_recorded(asked):
    for _ in range(20):
        await asked.admit("user-1", "CFO")
    problem(await asked.get(f"{LIMITS}/user-1", "e/AUDITEE"), 403, "forbidden")
    for caller in ("user-1/CFO", "e/AUDITOR"):
        problem(await asked.delete(f"{LIMITS}/user-1", caller), 403, "forbidden")
    problem(await asked.delete(f"{LIMITS}/nobody"), 404, "not_found")
    assert not asked.noted
    (role, _) = (await asked.delete(f"{LIMITS}/user-1")).json()["policies"]
    assert (role["limit"], role["remaining"]) == (100, 100)
    (row,) = asked.noted
    assert (row.entity_type, row.action, row.entity_id, row.actor_id) == ("RATE_LIMIT", "RESET", "p1", "h")
    assert "user-1" not in row.metadata


async def test_without_limits_there_is_no_policy(tmp_path):
    async with asking(f"sqlite:///{tmp_path}/parley.db", mode="off") as off:
        assert (await off.get(LIMITS)).json() == {"policies": [], "budgets": [], "degraded": False}


@pytest.mark.parametrize(
    "path",
    [
        *(EVENTS, f"{EVENTS}/x", f"{EVENTS}/x/proof", EXPORT, USAGE, LIMITS, f"{LIMITS}/x"),
        *("/api/v1/audit/verify", "/api/v1/audit/key"),
    ],
)
async def test_nothing_can_be_written_here(asked, path):
    response = await asked.client.post(path, headers={"x-caller": "h/AUDIT_HEAD"})
    problem(response, 405, "method_not_allowed")


async def test_a_path_that_leads_nowhere_is_not_found(asked):
    problem(await asked.get("/api/v1/audit"), 404, "not_found")
