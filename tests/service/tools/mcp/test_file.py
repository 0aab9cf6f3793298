"""The file of MCP servers: what other hosts write is read, what is wrong is told, whole and by its place."""

import json

import pytest

from config import SettingsError
from service.tools.mcp.file import Override, read_servers

PASTED = {
    "mcpServers": {
        "files": {
            "command": "npx",
            "args": ["-y", "server-filesystem", "${FOLDER:-/data}"],
            "env": {"TOKEN": "${FILES_TOKEN}"},
            "cwd": "/srv",
        },
        "search": {
            "type": "http",
            "url": "https://${HOST}/mcp",
            "headers": {"Authorization": "Bearer ${SEARCH_TOKEN}"},
            "tools": ["find", "fetch"],
            "roles": ["AUDITOR"],
            "approval": False,
            "overrides": {
                "fetch": {"roles": ["CFO"], "approval": True, "effects": True, "seconds": 2, "limit": 3}
            },
            "timeoutMs": 1500,
        },
        "off": {"command": "x", "disabled": True},
    }
}


@pytest.fixture
def read(tmp_path):
    def given(content, **environ):
        file = tmp_path / "servers.json"
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return read_servers(str(file), environ)

    return given


@pytest.fixture
def problems(read, tmp_path):
    def given(content, **environ):
        with pytest.raises(SettingsError) as refused:
            read(content, **environ)
        start = f"AGENT_MCP_SERVERS: {tmp_path}/servers.json: "
        assert all(problem.startswith(start) for problem in refused.value.problems)
        return [problem.removeprefix(start) for problem in refused.value.problems]

    return given


def test_no_file_is_no_servers():
    assert read_servers(None, {}) == ()


def test_what_other_hosts_take_is_read_and_filled_in(read, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("t0k3n\n")
    files, search = read(PASTED, FILES_TOKEN="f", HOST="h.example", SEARCH_TOKEN_FILE=str(secret))
    assert (files.name, files.command, files.cwd, files.seconds) == ("files", "npx", "/srv", 30.0)
    assert [each.reveal() for each in files.args] == ["-y", "server-filesystem", "/data"]
    assert {name: each.reveal() for name, each in files.env.items()} == {"TOKEN": "f"}
    assert (files.tools, files.roles, files.approval) == (None, None, None)
    assert search.url.reveal() == "https://h.example/mcp"
    assert search.headers["Authorization"].reveal() == "Bearer t0k3n"
    assert (search.tools, search.roles, search.seconds) == ({"find", "fetch"}, {"AUDITOR"}, 1.5)
    assert search.approval is False
    assert search.overrides == {
        "fetch": Override(roles=frozenset({"CFO"}), approval=True, effects=True, seconds=2, limit=3)
    }


def test_a_server_shows_nothing_of_what_was_filled_in(read):
    files, search = read(PASTED, FILES_TOKEN="canary", HOST="canary", SEARCH_TOKEN="canary")
    assert "canary" not in repr((files, search))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "cannot be read: it is not JSON"),
        ('{"a": 1 "canary"}', "cannot be read: it is not JSON (byte 8)"),
        ("[]", 'expected {"mcpServers": {NAME: {...}}}'),
        ("{}", 'expected {"mcpServers": {NAME: {...}}}'),
        ('{"mcpServers": []}', 'expected {"mcpServers": {NAME: {...}}}'),
        (" " * 1_048_577, "is larger than 1048576 bytes"),
    ],
)
def test_a_file_that_is_none_is_told(problems, text, why):
    assert problems(text) == [why]


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SettingsError) as refused:
        read_servers(str(tmp_path / "none"), {})
    assert refused.value.problems == (
        f"AGENT_MCP_SERVERS: {tmp_path}/none: cannot be read: No such file or directory",
    )


WRONG = {
    "no object": ([], ["mcpServers.a: expected an object"]),
    "nothing": ({}, ["mcpServers.a: expected either command or url"]),
    "both": ({"command": "x", "url": "http://h"}, ["mcpServers.a: expected either command or url"]),
    "headers of a program": (
        {"command": "x", "headers": {"A": "b"}},
        ["mcpServers.a: headers and http belong to a url"],
    ),
    "arguments of an address": (
        {"url": "http://h", "args": ["b"]},
        ["mcpServers.a: args, env, cwd and stdio belong to a command"],
    ),
    "old http": (
        {"url": "http://h", "type": "sse"},
        ["mcpServers.a.type: invalid enum value 'sse'"],
    ),
    "another key": ({"command": "x", "comand": "y"}, ["mcpServers.a.comand: is not known; known are"]),
    "no address": (
        {"url": "ftp://canary"},
        ["mcpServers.a.url: expected an http:// or https:// URL without credentials or fragment"],
    ),
    "credentials": (
        {"url": "http://u:canary@h/"},
        ["mcpServers.a.url: expected an http:// or https:// URL without credentials or fragment"],
    ),
    "two lines": (
        {"url": "http://h", "headers": {"A": "canary\r\nB: c"}},
        ["mcpServers.a.headers: a value has more than one line"],
    ),
    "a role": ({"command": "x", "roles": ["canary"]}, ["mcpServers.a.roles: expected `str` matching regex"]),
    "a time": ({"command": "x", "timeoutMs": 1}, ["mcpServers.a.timeoutMs: expected `int` >= 100"]),
    "an override": (
        {"command": "x", "overrides": {"t": {"role": "CFO"}}},
        ["mcpServers.a.overrides: object contains unknown field `role` - at `[...]`"],
    ),
    "two at once": (
        {"command": "${NONE}", "env": {"A": "${NEITHER}"}, "timeoutMs": "canary"},
        [
            "mcpServers.a.timeoutMs: expected `int`, got `str`",
            "mcpServers.a.command: ${NONE}: there is no such variable in the environment",
            "mcpServers.a.env.A: ${NEITHER}: there is no such variable in the environment",
        ],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_server_that_is_wrong_is_told_by_its_place_and_without_its_values(problems, case):
    said, expected = WRONG[case]
    found = problems({"mcpServers": {"a": said}})
    assert len(found) == len(expected)
    assert all(problem.startswith(start) for problem, start in zip(found, expected, strict=True)), found
    assert "canary" not in "".join(found)


@pytest.mark.parametrize("name", ["", "a__b", "a b", "_", "é", "x" * 33])
def test_a_name_that_would_be_no_tools_beginning_is_told(problems, name):
    (problem,) = problems({"mcpServers": {name: {"command": "x"}}})
    assert problem.endswith("expected a name of 1 to 32 letters, digits, - and single _")


def test_a_secret_that_is_in_no_file_is_told_by_its_variable(problems, tmp_path):
    missing = str(tmp_path / "canary")
    (problem,) = problems({"mcpServers": {"a": {"command": "${T}"}}}, T_FILE=missing)
    assert problem == "mcpServers.a.command: T_FILE: the file cannot be read: No such file or directory"
