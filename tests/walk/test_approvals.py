"""Tool calls that need somebody's yes, over the real service: who is heard, where, and what silence means."""

import json
from contextlib import ExitStack

import httpx
import pytest

from tests.conftest import MANY, SOON
from tests.harness.chat import Farewell, Line, resume, stream
from tests.harness.paying import install, paid
from tests.harness.problems import problem
from tests.harness.service import Service
from tests.harness.telling import told, total
from tests.harness.tree import tree
from tests.harness.waiting import wait

LIST = "/api/v1/agent/approvals"
PAY = "[sim:tool] Please pay"
NOWHERE = "01a21cb2-8832-766f-817c-243af220089e"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "site"


@pytest.fixture
def start(folder, tmp_path):
    """Start a service with tools that need a yes."""
    with ExitStack() as started:

        def start(tools="transfer", receiver=None, arguments=(), **settings):
            exported = receiver.settings() | SOON if receiver else {}
            given = install(folder, tools) | MANY | exported | settings
            return started.enter_context(Service(tmp_path / "cwd", given, arguments=arguments))

        (tmp_path / "cwd").mkdir()
        yield start


def send(service, method, path, key=None, **more):
    key = service.api_key if key is None else key
    bearer = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.request(method, f"{service.url}{path}", headers=bearer, trust_env=False, timeout=30, **more)


def decide(service, turn, call, decision, key=None, **more):
    body = {"decision": decision, **more}
    return send(service, "POST", f"/api/v1/agent/turns/{turn}/approvals/{call}", key, json=body)


def key_of(service, user, role):
    return json.loads(service.cli("keys", "create", "--user", user, "--role", role, "--json").stdout)["key"]


def asked(answer):
    """The turn's id, and the event by which somebody is asked."""
    turn = answer.until("turn").data["id"]
    return turn, answer.until("approval").data


def events(service):
    query = """SELECT * FROM "AuditEvent" WHERE "entityType" = 'AGENT_APPROVAL' ORDER BY "createdAt" """
    return [row | {"metadata": json.loads(row["metadata"])} for row in service.sql(query)]


def test_it_waits_in_the_stream_and_in_the_list_until_somebody_says_yes(start, folder):
    service = start()
    with stream(service, PAY) as answer:
        turn, event = asked(answer)
        assert (event["name"], event["arguments"]) == ("transfer", {"amount": 1, "to": "example"})
        (waiting,) = send(service, "GET", LIST).json()["approvals"]
        assert waiting["arguments"] == event["arguments"]
        assert (waiting["turnId"], waiting["id"], waiting["userId"]) == (turn, event["id"], "dev")
        assert waiting["expiresAt"] == event["expiresAt"] > waiting["askedAt"]
        assert paid(folder) == []
        given = decide(service, turn, event["id"], "approve")
        assert (given.status_code, given.json()["decision"]) == (200, "approve")
        rest = answer.rest()
    assert [each.event for each in rest][:4] == ["turn", "tool", "approval", "tool"]
    assert (rest[3].data["status"], rest[-1].event) == ("finished", "done")
    (run,) = map(json.loads, paid(folder))
    assert run == {"tool": "transfer", "amount": 1, "to": "example", "turn": turn}
    assert send(service, "GET", LIST).json() == {"approvals": []}
    again = problem(decide(service, turn, event["id"], "deny"), 409, "conflict")
    assert again["detail"] == "It is decided already: approve."


@pytest.fixture
def approved(start, receiver):
    """A service that exports, and a turn of it whose call was approved for a reason."""
    service = start(receiver=receiver)
    with stream(service, PAY) as answer:
        turn, event = asked(answer)
        assert decide(service, turn, event["id"], "approve", reason="the invoice is right").status_code == 200
        answer.rest()
    return service, told(service, receiver, turn)


def test_row_span_line_and_metric_say_the_same_of_it(approved, receiver):
    service, turn = approved
    spans = [each for each in receiver.spans() if each.trace_id == turn.row["traceId"]]
    (span,) = [each.attributes for each in spans if each.name == "execute_tool transfer"]
    (approval,) = [each["approval"] for each in turn.row["metadata"]["toolCalls"]]
    assert approval == {
        "decision": span["parley.approval.decision"],
        "decidedBy": span["parley.approval.decided_by"],
        "role": span["parley.approval.role"],
        "milliseconds": span["parley.approval.wait_ms"],
    }
    assert (approval["decision"], approval["role"]) == ("approve", "AUDITEE")
    assert approval["decidedBy"] == turn.agent.attributes["enduser.pseudo.id"]
    line = service.wait_for_line(type="approval_decided")
    assert (line["decision"], line["userId"], line["tool"]) == ("approve", "dev", "transfer")
    assert (line["turnId"], line["turnTraceId"]) == (turn.row["entityId"], turn.row["traceId"])
    receiver.wait(lambda: total(receiver, "parley.approvals", decision="approve") >= 1)


def test_it_has_an_event_of_its_own_and_the_reason_is_nowhere_else(approved, receiver):
    service, turn = approved
    (row,) = wait(lambda: events(service))
    assert (row["action"], row["entityId"], row["actorId"]) == ("APPROVAL", turn.row["entityId"], "dev")
    assert row["metadata"]["decision"] == "approve"
    assert row["metadata"]["query"] == "the invoice is right"
    signals = [service.stdout, [dict(each.attributes) for each in receiver.spans()], turn.row["metadata"]]
    assert "invoice" not in json.dumps(signals, default=str)
    assert service.cli("audit", "verify").returncode == 0


TREE = """\
POST /api/v1/agent/chat SERVER parley.turn.outcome=answered
  invoke_agent parley INTERNAL parley.turn.outcome=answered
    chat claude-sonnet-5-5 CLIENT
    execute_tool transfer INTERNAL{status} parley.approval.decision={decision} parley.tool.outcome={outcome}
    chat claude-sonnet-5-5 CLIENT"""


@pytest.mark.parametrize(
    ("decision", "outcome", "words"),
    [
        ("approve", "finished", "transfer returned paid"),
        ("deny", "denied", "was not approved"),
        (None, "denied", "Nobody approved the call of transfer in time"),
    ],
    ids=["approve", "deny", "silence"],
)
def test_the_model_is_told_and_the_trace_shows_it(start, folder, receiver, decision, outcome, words):
    service = start(receiver=receiver, AGENT_APPROVAL_TIMEOUT_MS="60000" if decision else "300")
    with stream(service, PAY) as answer:
        turn, event = asked(answer)
        if decision:
            assert decide(service, turn, event["id"], decision).status_code == 200
        rest = answer.rest()
    assert words in "".join(each.data["text"] for each in rest if each.event == "text")
    (ended,) = [each.data for each in rest if each.event == "tool" and each.data["status"] != "started"]
    assert (ended["status"], len(paid(folder))) == (outcome, int(decision == "approve"))
    turned = told(service, receiver, turn)
    keys = ("parley.turn.outcome", "parley.approval.decision", "parley.tool.outcome")
    status = "" if decision == "approve" else " [ERROR]"
    whole = TREE.format(decision=decision or "expired", outcome=outcome, status=status)
    assert tree(receiver.spans(), turned.row["traceId"], keys) == whole
    (row,) = wait(lambda: events(service))
    told_by = (row["metadata"]["decision"], row["actorId"])
    assert told_by == ((decision, "dev") if decision else ("expired", None))
    if not decision:
        late = problem(decide(service, turn, event["id"], "approve"), 409, "conflict")
        assert late["detail"] == "It is decided already: expired."


def test_four_eyes_and_nobody_else(start, folder):
    service = start("payout")
    cfo, other = key_of(service, "carl", "CFO"), key_of(service, "bob", "AUDIT_HEAD")
    with stream(service, PAY) as answer:
        turn, event = asked(answer)
        problem(decide(service, turn, event["id"], "approve"), 403, "forbidden")
        gone = [
            problem(decide(service, *where, "approve", key), 404, "not_found")["detail"]
            for key, where in (
                (other, (turn, event["id"])),
                (cfo, (turn, "another")),
                (cfo, (NOWHERE, event["id"])),
            )
        ]
        assert len(set(gone)) == 1
        lists = [send(service, "GET", LIST, key).json()["approvals"] for key in (None, other, cfo)]
        assert [len(each) for each in lists] == [0, 0, 1]
        assert lists[2][0]["arguments"] == {"amount": 1}
        assert decide(service, turn, event["id"], "approve", cfo).status_code == 200
        assert answer.rest()[-1].event == "done"
    assert len(paid(folder)) == 1
    (row,) = wait(lambda: events(service))
    assert (row["actorId"], row["role"]) == ("carl", "CFO")


WRONG = {
    "nothing": ({}, ["decision"]),
    "another word": ({"decision": "maybe"}, ["decision"]),
    "a long reason": ({"decision": "deny", "reason": "x" * 501}, ["reason"]),
    "an unknown field": ({"decision": "deny", "by": "me"}, ["by"]),
}


def test_what_is_no_decision_decides_nothing(start):
    service = start()
    with stream(service, PAY) as answer:
        turn, event = asked(answer)
        path = f"/api/v1/agent/turns/{turn}/approvals/{event['id']}"
        for body, fields in WRONG.values():
            said = problem(send(service, "POST", path, json=body), 400, "invalid_request")
            assert [each["field"] for each in said["errors"]] == fields
        problem(send(service, "POST", path, content=b"{}"), 415, "unsupported_media_type")
        problem(decide(service, turn, event["id"], "deny", ""), 401, "unauthenticated")
        assert len(send(service, "GET", LIST).json()["approvals"]) == 1


def test_an_answer_that_is_no_stream_waits_as_well(start, folder):
    service = start()
    with ExitStack() as opened:
        line = opened.enter_context(Line(service, PAY, stream=False))
        (waiting,) = wait(lambda: send(service, "GET", LIST).json()["approvals"])
        assert decide(service, waiting["turnId"], waiting["id"], "approve").status_code == 200
        assert b'"toolsCalled":["transfer"]' in line.read_until(b'"traceId"')
    assert len(paid(folder)) == 1


def test_whoever_leaves_takes_the_question_along(start, folder):
    service = start()
    with Line(service, PAY) as line:
        line.read_until(b"event: approval")
        (waiting,) = send(service, "GET", LIST).json()["approvals"]
        line.hang_up(Farewell.RST)
    (row,) = service.wait_for_rows(outcome="client_gone")
    assert row["metadata"]["toolCalls"][0]["outcome"] == "failed"
    wait(lambda: service.sql("SELECT * FROM approval") == [])
    problem(decide(service, waiting["turnId"], waiting["id"], "approve"), 404, "not_found")
    assert (paid(folder), events(service)) == ([], [])


def test_a_lost_stream_waits_on_and_hears_the_question_again(start, folder):
    service = start(AGENT_STREAM_RESUME_MS="30000")
    with Line(service, PAY) as line:
        line.read_until(b"event: approval")
        turn = line.header("x-request-id")
        line.hang_up(Farewell.RST)
    with resume(service, turn) as again:
        event = again.until("approval").data
        assert decide(service, turn, event["id"], "approve").status_code == 200
        assert again.rest()[-1].event == "done"
    assert len(paid(folder)) == 1


def test_killed_while_it_waits_the_turn_is_interrupted_and_nothing_is_run(start, folder):
    service = start()
    with Line(service, PAY) as line:
        line.read_until(b"event: approval")
        (waiting,) = send(service, "GET", LIST).json()["approvals"]
        service.kill()
    service.start()
    (row,) = service.wait_for_rows(entityId=waiting["turnId"])
    assert row["outcome"] == "interrupted"
    assert send(service, "GET", LIST).json() == {"approvals": []}
    problem(decide(service, waiting["turnId"], waiting["id"], "approve"), 404, "not_found")
    assert (paid(folder), events(service)) == ([], [])
    assert service.cli("audit", "verify").returncode == 0


def test_at_a_stop_it_ends_as_any_turn(start, folder):
    service = start(AGENT_SHUTDOWN_GRACE_MS="300")
    with Line(service, PAY) as line:
        line.read_until(b"event: approval")
        assert service.stop() == 0
    assert [row["outcome"] for row in service.rows()] == ["shutdown"]
    assert (service.sql("SELECT * FROM approval"), paid(folder)) == ([], [])


ALONE = {"AGENT_RATE_LIMIT_MODE": "off", "AGENT_RATE_LIMIT_STORE": "redis://127.0.0.1:1"}


def test_of_several_workers_any_may_hear_the_decision(start, folder):
    service = start(arguments=("--workers", "2"), **ALONE)
    for number in range(1, 7):
        with stream(service, PAY) as answer:
            turn, event = asked(answer)
            assert decide(service, turn, event["id"], "approve").status_code == 200
            assert answer.rest()[-1].event == "done"
        assert len(paid(folder)) == number
    assert service.stop() == 0
    assert {row["outcome"] for row in service.rows()} == {"answered"}


def test_another_replica_shows_the_question_and_takes_the_decision(start, folder, tmp_path, database_url):
    shared = {"DATABASE_URL": database_url, "AGENT_SECRET_KEY": "s" * 43} | ALONE
    service = start(**shared)
    (tmp_path / "other").mkdir()
    with Service(tmp_path / "other", service.settings) as other, stream(service, PAY) as answer:
        key = service.api_key
        turn, event = asked(answer)
        (waiting,) = send(other, "GET", LIST, key).json()["approvals"]
        assert (waiting["id"], waiting["arguments"]) == (event["id"], event["arguments"])
        assert decide(other, turn, event["id"], "approve", key).status_code == 200
        problem(decide(service, turn, event["id"], "approve"), 409, "conflict")
        assert answer.rest()[-1].event == "done"
        assert len(paid(folder)) == 1
        other.wait_for_line(type="approval_decided", turnId=turn)
        assert service.lines(type="approval_decided") == []


def test_forgotten_while_it_waits_nothing_is_run(start, folder):
    service = start()
    head = key_of(service, "head", "AUDIT_HEAD")
    with stream(service, PAY) as answer:
        asked(answer)
        twice = {"subject": "dev", "confirm": "dev"}
        assert send(service, "POST", "/api/v1/audit/erasures", head, json=twice).status_code == 200
        (ended,) = [each.data for each in answer.rest() if each.event == "tool"][1:]
    assert ended["status"] == "denied"
    assert (service.sql("SELECT * FROM approval"), paid(folder), events(service)) == ([], [], [])
