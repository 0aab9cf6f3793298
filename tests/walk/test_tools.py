"""Conversations with tools: rounds, calls beside each other, failures and denials, told by every signal."""

import json
from collections import Counter

import httpx
import pytest

from telemetry.canonical import canonical, commitment
from tests.conftest import MANY, SOON
from tests.harness.chat import ask, stream
from tests.harness.service import Service
from tests.harness.telling import ending, told, total
from tests.harness.tree import tree

CHAT = "chat claude-sonnet-5-5 CLIENT"
OUTCOME = "parley.tool.outcome"
BOUNDS = {"AGENT_MAX_TOOL_CALLS": "3", "AGENT_TOOLS": "calculate,current_time"}

THREE_ROUNDS = f"""\
POST /api/v1/agent/chat SERVER
  invoke_agent parley INTERNAL
    {CHAT}
    execute_tool calculate INTERNAL {OUTCOME}=finished
    {CHAT}
    execute_tool calculate INTERNAL {OUTCOME}=finished
    {CHAT}
    execute_tool calculate INTERNAL {OUTCOME}=finished
    {CHAT}"""
PARALLEL = f"""\
POST /api/v1/agent/chat SERVER
  invoke_agent parley INTERNAL
    {CHAT}
    execute_tool calculate INTERNAL {OUTCOME}=finished
    execute_tool current_time INTERNAL {OUTCOME}=finished
    execute_tool calculate INTERNAL {OUTCOME}=finished
    {CHAT}"""
FAILING = f"""\
POST /api/v1/agent/chat SERVER
  invoke_agent parley INTERNAL
    {CHAT}
    execute_tool calculate INTERNAL [ERROR] {OUTCOME}=failed
    execute_tool current_time INTERNAL {OUTCOME}=finished
    execute_tool calculate INTERNAL [ERROR] {OUTCOME}=failed
    {CHAT}"""
DENIED = f"""\
POST /api/v1/agent/chat SERVER
  invoke_agent parley INTERNAL
    {CHAT}
    execute_tool calculate INTERNAL {OUTCOME}=finished
    {CHAT}
    execute_tool calculate INTERNAL {OUTCOME}=finished
    {CHAT}
    execute_tool calculate INTERNAL {OUTCOME}=finished
    {CHAT}
    execute_tool calculate INTERNAL [ERROR] {OUTCOME}=denied
    {CHAT}"""

CONVERSATIONS = {
    "three rounds": (
        "What is 12*7? [sim:rounds:3]",
        THREE_ROUNDS,
        [("calculate", "finished", None)] * 3,
    ),
    "beside each other": (
        "What is 12*7? What time is it? [sim:tools3]",
        PARALLEL,
        [
            ("calculate", "finished", None),
            ("current_time", "finished", None),
            ("calculate", "finished", None),
        ],
    ),
    "failing": (
        "What is 1/0? What time is it? [sim:tools3]",
        FAILING,
        [
            ("calculate", "failed", "invalid_request"),
            ("current_time", "finished", None),
            ("calculate", "failed", "invalid_request"),
        ],
    ),
    "denied": (
        "What is 12*7? [sim:rounds:4]",
        DENIED,
        [*[("calculate", "finished", None)] * 3, ("calculate", "denied", "rate_limited")],
    ),
}


@pytest.fixture(scope="module")
def house(receiver, tmp_path_factory):
    with Service(tmp_path_factory.mktemp("tools"), receiver.settings() | SOON | MANY | BOUNDS) as service:
        yield service


def counted(receiver):
    return Counter(
        {
            (tool, outcome): total(receiver, "parley.tool.calls", tool=tool, outcome=outcome)
            for tool in ("calculate", "current_time")
            for outcome in ("finished", "failed", "denied")
        }
    )


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_every_call_is_told_by_row_line_span_stream_and_metric(house, receiver, name):
    message, expected, calls = CONVERSATIONS[name]
    ask(house, "[sim:text] first")
    receiver.wait(lambda: receiver.points("parley.tool.calls", {"tool": "calculate"}))
    before = counted(receiver)
    with stream(house, message) as answer:
        heard = answer.rest()
    first, trace_id = heard[0].data["id"], heard[0].data["traceId"]
    signals = told(house, receiver, first)
    assert tree(receiver.wait_for_trace(trace_id), trace_id, [OUTCOME]) == expected
    check_record(signals, calls)
    check_stream(heard, signals.row["metadata"]["toolCalls"])
    before.update((tool, outcome) for tool, outcome, _ in calls)
    receiver.wait(lambda: counted(receiver) == before)


def check_record(signals, calls):
    """The row has each call in its place, the line the tools, and a line of its own each that failed."""
    kept = signals.row["metadata"]["toolCalls"]
    assert [(call["name"], call["outcome"], call["code"]) for call in kept] == calls
    assert len({call["callId"] for call in kept}) == len(calls)
    assert all(len(call["argumentsCommitment"]) == 64 and call["resultLength"] > 0 for call in kept)
    names = list(dict.fromkeys(name for name, _, _ in calls))
    assert signals.line["toolsCalled"] == signals.row["metadata"]["toolsCalled"] == names
    assert [error["code"] for error in signals.errors] == [code for _, _, code in calls if code]


def check_stream(heard, kept):
    """Each call has its end among the events."""
    ends = [each.data for each in heard if each.event == "tool" and each.data["status"] != "started"]
    assert Counter((end["id"], end["name"], end["status"]) for end in ends) == Counter(
        (call["callId"], call["name"], call["outcome"]) for call in kept
    )
    assert heard[-1].event == "done"


def test_spans_say_what_the_row_says(house, receiver):
    answer = ask(house, "What is 12*7? [sim:tools3]").json()
    (row,) = house.wait_for_rows(entityId=answer["id"])
    spans = [
        each for each in receiver.wait_for_trace(answer["traceId"]) if each.name.startswith("execute_tool")
    ]
    by_call = {each.attributes["gen_ai.tool.call.id"]: each.attributes for each in spans}
    for call in row["metadata"]["toolCalls"]:
        span = by_call[call["callId"]]
        assert span["parley.tool.source"] == call["source"] == "built_in"
        assert span["parley.tool.effects"] is call["effects"] is False
        assert span["parley.tool.arguments_commitment"] == call["argumentsCommitment"]
        assert span["parley.tool.result_length"] == call["resultLength"] == 2
        assert span["gen_ai.tool.name"] == call["name"]


def key_of(service, user, role):
    made = service.cli("keys", "create", "--user", user, "--role", role, "--json")
    return json.loads(made.stdout)["key"]


def event(service, turn, key):
    headers = {"authorization": f"Bearer {key}"}
    got = httpx.get(f"{service.url}/api/v1/audit/events/{turn}", headers=headers, trust_env=False)
    assert got.status_code == 200
    return got.json()["metadata"]


@pytest.mark.parametrize("content", ["clear", "sealed"])
def test_arguments_are_shown_to_who_may_see_content_and_go_with_the_person(start_service, content):
    service = start_service(**MANY, AGENT_AUDIT_CONTENT=content)
    head, auditor, ann = (
        key_of(service, user, role)
        for user, role in (("head", "AUDIT_HEAD"), ("aud", "AUDITOR"), ("ann", "AUDITEE"))
    )
    turn = ask(service, "What is 12*7? [sim:tool]", key=ann).json()["id"]
    (row,) = service.wait_for_rows(entityId=turn)
    assert "12*7" not in json.dumps(row["metadata"]["toolCalls"])
    (call,) = event(service, turn, head)["toolCalls"]
    assert call["arguments"] == {"expression": "12*7"}
    assert commitment(call["argumentsSalt"], canonical(call["arguments"])) == call["argumentsCommitment"]
    (seen,) = event(service, turn, auditor)["toolCalls"]
    assert {"arguments", "argumentsSalt"}.isdisjoint(seen)
    shown = json.loads(service.cli("audit", "show", turn, "--json").stdout)
    assert shown["metadata"]["toolCalls"] == [call]
    assert service.cli("audit", "erase", "--subject", "ann", "--yes").returncode == 0
    (left,) = event(service, turn, head)["toolCalls"]
    assert (left["arguments"], left["argumentsCommitment"]) == (None, call["argumentsCommitment"])
    assert "argumentsSalt" not in left
    assert json.loads(service.cli("audit", "verify", "--json").stdout)["valid"]


def test_a_turn_that_would_cost_more_than_one_may_ends_with_what_it_spent(start_service):
    service = start_service(**MANY, AGENT_TURN_BUDGET_USD="0.000001")
    answer = ask(service, "What is 12*7? [sim:tool]")
    assert (answer.status_code, answer.json()["code"]) == (402, "over_budget")
    (row,) = service.wait_for_rows(entityId=answer.headers["x-request-id"])
    assert (row["outcome"], row["code"]) == ("failed", "over_budget")
    assert row["metadata"]["cost"] > 0
    assert ending(service, row["entityId"])["type"] == "agent_query_failed"
    assert ask(service, "[sim:text] Hello").status_code == 200
