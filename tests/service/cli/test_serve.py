"""parley serve and simulate, started for real: what they say, and why they would not start."""

import json
import signal
import socket
import stat
import sys

import httpx
import pytest

from tests.harness.chat import ask
from tests.harness.process import Process
from tests.harness.service import PROGRAM


@pytest.fixture
def fails(tmp_path):
    """Run a command that must not start; give its words on stderr."""

    def run(*arguments, **settings):
        with Process([*PROGRAM, *arguments], tmp_path, settings) as process:
            process._popen.wait(30)
        assert process.code == 2, process.said()
        assert process.stdout == []
        assert not [line for line in process.stderr if "Traceback" in line or line.startswith("Ready")]
        return process.stderr

    return run


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_port_in_use_is_one_clear_sentence(fails, taken):
    said = fails("serve", AGENT_PORT=str(taken))
    assert said == [f"parley: Cannot listen on 127.0.0.1:{taken}: Address already in use."]


def test_a_port_in_use_stops_the_simulator_too(fails, taken):
    said = fails("simulate", "--port", str(taken))
    assert said == [f"parley: Cannot listen on 127.0.0.1:{taken}: Address already in use."]


def test_a_host_that_is_none_is_one_sentence(fails):
    (said,) = fails("serve", AGENT_PORT="0", AGENT_HOST="203.0.113.7")
    assert said.startswith("parley: Cannot listen on 203.0.113.7:0: ")


def test_an_unknown_sink_names_those_there_are(fails):
    (said,) = fails("serve", AGENT_PORT="0", AGENT_SINKS="logs,nope,neither")
    assert said.startswith("parley: AGENT_SINKS: no such sink: nope, neither; installed: ")
    assert "audit" in said


def test_an_exporter_that_is_none_is_named(fails):
    said = fails("serve", AGENT_PORT="0", OTEL_TRACES_EXPORTER="nope")
    assert "nope" in "\n".join(said)


def test_production_without_secrets_names_them_all(fails):
    said = "\n".join(fails("serve", AGENT_PORT="0", AGENT_ENVIRONMENT="production"))
    assert "AGENT_SECRET_KEY" in said
    assert "ANTHROPIC_API_KEY" in said


def test_production_makes_nothing_and_tells_no_secret(start_service):
    service = start_service(AGENT_ENVIRONMENT="production", AGENT_SECRET_KEY="k" * 32, AGENT_SIMULATOR="true")
    simulated, ready = service.stderr.splitlines()
    assert simulated.startswith("Model: simulator")
    assert ready == f"Ready: {service.url}"
    assert [path.name for path in (service.cwd / "var").iterdir() if "key" in path.name] == []
    made = json.loads(service.cli("keys", "create", "--user", "ann", "--role", "CFO", "--json").stdout)
    assert ask(service, "hello", key=made["key"]).status_code == 200
    service.cli("keys", "revoke", made["id"])
    assert ask(service, "hello", key=made["key"]).status_code == 401


def test_a_first_start_makes_a_key_and_the_second_keeps_it(start_service):
    service = start_service()
    first = service.api_key
    assert service.stderr.splitlines()[-1] == f"Ready: {service.url}"
    assert "simulator" in service.stderr
    assert ask(service, "hello").status_code == 200
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (service.cwd / "var").iterdir()}
    assert (files["secret-key"], files["development-key"]) == (0o600, 0o600)
    assert service.stop() == 0
    service.start()
    assert service.api_key == first
    assert ask(service, "hello", key=first).status_code == 200
    listed = json.loads(service.cli("keys", "list", "--json").stdout)
    assert [(row["user"], row["role"]) for row in listed] == [("dev", "AUDITEE")]


def test_a_key_that_no_longer_holds_is_replaced(start_service):
    service = start_service()
    first = service.api_key
    service.cli("keys", "revoke", first.split("_")[1])
    assert service.stop() == 0
    service.start()
    second = service.api_key
    assert second != first
    assert ask(service, "hello", key=first).status_code == 401
    assert ask(service, "hello", key=second).status_code == 200
    kept = service.cwd / "var" / "development-key"
    assert (kept.read_text(), stat.S_IMODE(kept.stat().st_mode)) == (second, 0o600)
    assert [path.name for path in kept.parent.glob("development-key*")] == ["development-key"]
    assert service.stop() == 0
    service.start()
    assert service.api_key == second


KEPT = {
    "another root secret": lambda folder: (folder / "secret-key").write_text("another" * 8),
    "no key": lambda folder: (folder / "development-key").write_text("parley_nonsense"),
}


@pytest.mark.parametrize("spoil", KEPT.values(), ids=KEPT)
def test_a_key_that_the_door_refuses_is_replaced(start_service, spoil):
    service = start_service()
    first = service.api_key
    assert service.stop() == 0
    spoil(service.cwd / "var")
    service.start()
    assert service.api_key != first
    assert ask(service, "hello", key=service.api_key).status_code == 200


def test_a_key_whose_database_is_gone_is_kept(start_service):
    service = start_service()
    first = service.api_key
    assert service.stop() == 0
    for path in (service.cwd / "var").glob("*.db*"):
        path.unlink()
    service.start()
    assert service.api_key == first
    assert ask(service, "hello", key=first).status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(start_service, number):
    service = start_service()
    assert service.stop(number) == 0
    assert [line["type"] for line in service.lines()] == ["service_started", "service_stopped"]
    assert "Traceback" not in service.stderr


def test_the_simulator_alone_speaks_the_messages_api(tmp_path):
    with Process([*PROGRAM, "simulate", "--port", "0"], tmp_path, {}) as process:
        url = process.wait_for_word("Ready")
        question = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
        answer = httpx.post(
            f"{url}/v1/messages", json=question, headers={"x-api-key": "any"}, trust_env=False
        )
        assert answer.json()["type"] == "message"
        assert process.stop() == 0


def test_the_environment_of_the_sdk_does_not_reach_the_model(start_service):
    service = start_service(
        ANTHROPIC_AUTH_TOKEN="other", ANTHROPIC_CUSTOM_HEADERS="x: y", ANTHROPIC_LOG="debug"
    )
    assert ask(service, "a secret question").status_code == 200
    completed = service.wait_for_line(type="agent_query_completed")
    assert [line for line in service.lines() if "secret question" in str(line)] == [completed]
    assert "secret question" not in service.stderr


def test_a_folder_that_cannot_be_made_is_one_sentence(fails, tmp_path):
    (tmp_path / "var").write_text("a file stands in its place")
    (said,) = fails("serve", AGENT_PORT="0")
    assert said.startswith("parley: ")


def test_the_program_is_this_interpreters():
    assert PROGRAM[0] == sys.executable
