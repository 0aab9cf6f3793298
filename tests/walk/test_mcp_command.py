"""`parley mcp` as an assistant meets it: the audit over MCP, with the rights of a key and a record of it."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from tests.harness.chat import ask
from tests.harness.process import environment
from tests.harness.service import PROGRAM
from tests.harness.waiting import wait

TOOLS = ["audit_search", "audit_event", "audit_verify", "usage", "limits", "feedback"]
SECRET = "The canary sings at noon"


@pytest.fixture(scope="module")
def keys(service):
    """A key of each of these roles."""
    roles = ("AUDIT_HEAD", "AUDITOR", "AUDITEE")
    made = {
        role: service.cli("keys", "create", "--user", f"mcp-{role}", "--role", role, "--json")
        for role in roles
    }
    return {role: json.loads(each.stdout)["key"] for role, each in made.items()}


@pytest.fixture
def asked(service):
    """A turn of which there is a row."""
    answer = ask(service, SECRET).json()
    service.wait_for_rows(entityId=answer["id"])
    return answer


@asynccontextmanager
async def assistant(service, key, url="") -> AsyncIterator[Client]:
    words = ["-m", "service", "mcp", "--url", url or service.url]
    program = StdioServerParameters(
        command=sys.executable, args=words, env=environment({"PARLEY_API_KEY": key}), cwd=service.cwd
    )
    async with Client(program) as client:
        yield client


async def call(client: Client, name: str, **arguments: Any) -> tuple[bool, Any]:
    """Whether it failed, and what it said: decoded where it did not."""
    result = await client.call_tool(name, arguments)
    (part,) = result.content
    if result.is_error:
        return True, part.text
    assert json.loads(part.text) == result.structured_content
    return False, result.structured_content


async def test_an_auditor_searches_masked(service, keys, asked):
    async with assistant(service, keys["AUDITOR"]) as client:
        listed = (await client.list_tools()).tools
        assert [tool.name for tool in listed] == TOOLS
        assert all(tool.annotations.read_only_hint for tool in listed)
        failed, page = await call(client, "audit_search", traceId=asked["traceId"])
        assert not failed
        (event,) = page["events"]
        assert event["entityId"] == asked["id"]
        assert (event["metadata"]["query"], event["metadata"]["content"]) == (None, "masked")
        failed, one = await call(client, "audit_event", eventId=event["id"])
        assert (failed, one["id"]) == (False, event["id"])


async def test_the_head_sees_what_was_asked_and_that_is_in_the_audit(service, keys, asked):
    async with assistant(service, keys["AUDIT_HEAD"]) as client:
        _, page = await call(client, "audit_search", traceId=asked["traceId"])
        assert page["events"][0]["metadata"]["query"] == SECRET
    wait(lambda: accesses(service, "mcp-AUDIT_HEAD"), seen=service.said)
    (look,) = accesses(service, "mcp-AUDIT_HEAD")
    assert look["metadata"]["filters"] == {"trace_id": asked["traceId"], "entity_type": "AGENT_QUERY"}


async def test_somebody_without_the_right_is_told_so(service, keys):
    async with assistant(service, keys["AUDITEE"]) as client:
        failed, said = await call(client, "audit_search")
        assert failed
        assert said.startswith("forbidden: You don't have permission to perform this action.")
        failed, limits = await call(client, "limits")
        assert not failed
        assert limits["policies"]


@pytest.mark.usefixtures("asked")
async def test_the_log_is_verified_and_usage_added_up(service, keys):
    async with assistant(service, keys["AUDIT_HEAD"]) as client:
        failed, verdict = await call(client, "audit_verify")
        assert (failed, verdict["valid"]) == (False, True)
        failed, usage = await call(client, "usage", groupBy="role")
        assert not failed
        assert {row["key"] for row in usage["rows"]} >= {"AUDITEE"}


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        (
            "audit_search",
            {"colour": "red"},
            "The arguments do not fit: Object contains unknown field `colour`.",
        ),
        ("audit_search", {"limit": 201}, "The arguments do not fit: Expected `int` <= 200"),
        ("audit_search", {"from": "now"}, "invalid_request: Invalid request."),
        ("audit_event", {"eventId": "../../agent/chat"}, "not_found: "),
        ("nothing", {}, "There is no such tool. There are: audit_search, "),
    ],
)
async def test_what_is_asked_wrongly_is_told(service, keys, name, arguments, said):
    async with assistant(service, keys["AUDIT_HEAD"]) as client:
        failed, told = await call(client, name, **arguments)
        assert failed
        assert told.startswith(said), told


async def test_a_key_that_is_none_and_a_service_that_is_not_there_are_told(service):
    async with assistant(service, "nokey") as client:
        failed, said = await call(client, "limits")
        assert (failed, said.split(":")[0]) == (True, "unauthenticated")
    async with assistant(service, "nokey", "http://127.0.0.1:1") as client:
        failed, said = await call(client, "limits")
        assert (failed, said) == (True, "The service at http://127.0.0.1:1 does not answer (ConnectError).")


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        ([], {}, "parley: PARLEY_API_KEY: missing or no key; `parley keys create` makes one\n"),
        ([], {"PARLEY_API_KEY_FILE": "/none"}, "parley: PARLEY_API_KEY_FILE: the file cannot be read: "),
    ],
)
def test_without_a_key_it_does_not_start(tmp_path, arguments, environ, said):
    done = started(tmp_path, arguments, environ)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said)


def test_it_ends_with_its_stdin_and_says_nothing_but_mcp_on_stdout(tmp_path):
    done = started(tmp_path, [], {"PARLEY_API_KEY": "k"})
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "parley: an MCP server on stdio, asking http://127.0.0.1:3005\n"


@pytest.mark.parametrize("url", ["ftp://h", "http://u:p@h", "h", "http://h/?a"])
def test_an_address_that_is_none_is_wrong_use(tmp_path, url):
    done = started(tmp_path, ["--url", url], {"PARLEY_API_KEY": "k"})
    assert done.returncode == 2
    assert "an http:// or https:// URL" in done.stderr


def started(cwd: os.PathLike[str], arguments: list[str], environ: Mapping[str, str]) -> Any:
    """Run it with nothing on stdin."""
    return subprocess.run(
        [*PROGRAM, "mcp", *arguments],
        cwd=cwd,
        env=environment(environ),
        input="",
        capture_output=True,
        text=True,
        check=False,
    )


def accesses(service, user: str) -> list[dict[str, Any]]:
    """The looks of a user at the audit."""
    rows = service.sql("""SELECT * FROM "AuditEvent" WHERE "entityType" = 'AUDIT_ACCESS'""")
    return [row | {"metadata": json.loads(row["metadata"])} for row in rows if row["actorId"] == user]
