"""Conversations with tools of MCP servers, one of them of a registry, over both transports."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from msgspec import Struct

from tests.conftest import MANY, SOON
from tests.harness.chat import ask
from tests.harness.everything import OverHttp, everything
from tests.harness.mcp_server import PROGRAM, HttpServer
from tests.harness.otlp import Receiver
from tests.harness.service import Service
from tests.harness.telling import told
from tests.harness.tree import tree
from tests.harness.waiting import wait

MODEL = "claude-sonnet-5-5"


class Guests(Struct, frozen=True):
    """A service with servers: `local` and `far` are the same one over stdio and HTTP, `own` our tests'."""

    service: Service
    receiver: Receiver
    own: HttpServer
    starts: Path


@pytest.fixture(scope="module")
def guests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guests]:
    cwd = tmp_path_factory.mktemp("mcp")
    program = everything()
    own, starts = HttpServer("trace"), cwd / "starts"
    with OverHttp(program, cwd) as far, Receiver() as receiver:
        servers = {
            "local": {"command": "node", "args": [program, "stdio"], "tools": ["echo", "get-sum"]},
            "far": {"type": "http", "url": far.url, "tools": ["echo"], "roles": ["AUDITEE"]},
            "own": {"url": own.url, "headers": {"Authorization": "Bearer ${OWN_TOKEN}"}},
            "frail": {"command": sys.executable, "args": [PROGRAM, "good", str(starts)]},
            "cfo": {"command": sys.executable, "args": [PROGRAM, "good"], "roles": ["CFO"]},
            "gone": {"command": "no-such-program"},
        }
        file = cwd / "servers.json"
        file.write_text(json.dumps({"mcpServers": servers}))
        settings = receiver.settings() | SOON | MANY
        settings |= {"AGENT_MCP_SERVERS": str(file), "OWN_TOKEN": "s3cret-0815"}
        with Service(cwd, settings) as service:
            wait(lambda: len(service.lines(type="mcp_connected")) == 5, seen=service.said)
            yield Guests(service, receiver, own, starts)
    own.close()


def asked(guests: Guests, message: str) -> dict:
    response = ask(guests.service, message)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize(("server", "transport"), [("local", "pipe"), ("far", "tcp")])
def test_a_tool_of_a_server_is_told_by_every_signal(guests, server, transport):
    name = f"{server}__echo"
    answer = asked(guests, f"Use {name}, please.")
    assert answer["toolsCalled"] == [name]
    assert f"{name} returned" in answer["response"]
    assert "Echo: example" in answer["response"]
    all_told = told(guests.service, guests.receiver, answer["id"])
    spans = guests.receiver.wait_for_trace(answer["traceId"])
    assert tree(spans, answer["traceId"], ["mcp.method.name", "network.transport"]) == (
        "POST /api/v1/agent/chat SERVER\n"
        "  invoke_agent parley INTERNAL\n"
        f"    chat {MODEL} CLIENT\n"
        f"    execute_tool {name} INTERNAL mcp.method.name=tools/call network.transport={transport}\n"
        f"    chat {MODEL} CLIENT"
    )
    assert all_told.line["toolsCalled"] == [name]
    (call,) = all_told.row["metadata"]["toolCalls"]
    assert (call["name"], call["source"], call["outcome"]) == (name, server, "finished")
    wait(lambda: guests.receiver.points("gen_ai.execute_tool.duration", {"gen_ai.tool.name": name}))


def test_three_tools_of_two_servers_run_in_one_round(guests):
    answer = asked(guests, "Use local__echo and local__get-sum and far__echo.")
    assert sorted(answer["toolsCalled"]) == ["far__echo", "local__echo", "local__get-sum"]


def test_the_trace_goes_on_at_the_server(guests):
    answer = asked(guests, "Use own__say.")
    headers, message = next(seen for seen in reversed(guests.own.seen) if seen[1]["method"] == "tools/call")
    spans = guests.receiver.wait_for_trace(answer["traceId"])
    (tool,) = (span for span in spans if span.name == "execute_tool own__say")
    expected = f"00-{answer['traceId']}-{tool.span_id}"
    headers = {name.lower(): value for name, value in headers.items()}
    assert message["params"]["_meta"]["traceparent"].rpartition("-")[0] == expected
    assert headers["traceparent"] == message["params"]["_meta"]["traceparent"]


def test_a_secret_is_sent_to_its_server_and_told_nowhere(guests):
    asked(guests, "Use own__say.")
    assert {headers["Authorization"] for headers, _ in guests.own.seen} == {"Bearer s3cret-0815"}
    assert "s3cret-0815" not in guests.service.said()


def test_nobody_is_offered_the_tools_of_another_role(guests):
    assert asked(guests, "Use cfo__say.")["toolsCalled"] == []
    key = guests.service.cli("keys", "create", "--user", "boss", "--role", "CFO", "--json")
    boss = json.loads(key.stdout)["key"]
    assert ask(guests.service, "Use cfo__say.", key=boss).json()["toolsCalled"] == ["cfo__say"]
    assert ask(guests.service, "Use far__echo.", key=boss).json()["toolsCalled"] == []


def test_a_server_that_dies_costs_its_tool_and_not_the_turn(guests):
    assert asked(guests, "Use frail__say.")["toolsCalled"] == ["frail__say"]
    os.kill(int(guests.starts.read_text().split()[-1]), signal.SIGKILL)
    wait(lambda: guests.service.lines(type="mcp_lost", server="frail"), seen=guests.service.said)
    answer = asked(guests, "Use frail__say.")  # is back for it
    assert answer["toolsCalled"] == ["frail__say"]
    assert len(guests.starts.read_text().split()) == 2


def test_what_is_away_is_said_and_the_service_is_ready_all_the_same(guests):
    response = httpx.get(f"{guests.service.url}/health/ready", trust_env=False)
    mcp = response.json()["dependencies"]["mcp"]
    assert response.status_code == 200
    assert mcp == {"status": "degraded", "detail": "away: gone"}
    there = {"local": 1, "far": 1, "own": 1, "frail": 1, "cfo": 1, "gone": 0}
    guests.receiver.wait(lambda: up(guests) == there)


def up(guests: Guests) -> dict[str, float]:
    """Which servers are there by the metric."""
    return {point.attributes["server"]: point.value for point in guests.receiver.points("parley.mcp.up")}


def test_no_span_is_told_beside_ours(guests):
    asked(guests, "Use local__echo.")
    names = {span.name for span in guests.receiver.spans()}
    assert not {name for name in names if "MCP" in name or name.startswith("tools/")}


WRONG = {
    "files": {"comand": "npx", "env": {"KEY": "${NOT_THERE}"}},
    "a__b": {"command": "x", "url": "http://h"},
    "search": {"url": "ftp://canary-0815", "headers": {"Authorization": "${NOT_THERE}"}, "timeoutMs": 1},
}


def test_a_file_that_is_wrong_stops_the_start_with_all_that_is_wrong(tmp_path):
    file = tmp_path / "servers.json"
    file.write_text(json.dumps({"mcpServers": WRONG}))
    done = Service(tmp_path, {"AGENT_MCP_SERVERS": str(file)}).cli("serve")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert all(line.startswith(f"parley: AGENT_MCP_SERVERS: {file}: mcpServers.") for line in lines), lines
    assert {line.split("mcpServers.")[1].split(":")[0] for line in lines} == {
        "files.comand",
        "files.env.KEY",
        "a__b",
        "search.timeoutMs",
        "search.headers.Authorization",
        "search.url",
    }
    assert len(lines) == 7
    assert "canary-0815" not in done.stderr
