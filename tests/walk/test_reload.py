"""SIGHUP: the settings are read again while the service runs, and taken over whole or not at all."""

import json
import os
import pty
import signal
import subprocess
import sys

import pytest

from tests.harness.chat import ask, stream
from tests.harness.process import Process, environment
from tests.harness.service import PROGRAM, Service
from tests.harness.waiting import PATIENCE, wait

CHANGES = """SELECT * FROM "AuditEvent" WHERE "entityType" = 'SETTINGS'"""


@pytest.fixture
def service(tmp_path):
    """A service whose settings are in `.env`."""
    with Service(tmp_path) as service:
        yield service


def reload(service: Service, *lines: str, kind: str = "settings_changed") -> dict:
    """Write `.env` anew, have it read, and wait for the line that tells what came of it."""
    (service.cwd / ".env").write_text("\n".join(lines))
    before = len(service.lines(type=kind))
    os.kill(service.pid, signal.SIGHUP)
    wait(lambda: len(service.lines(type=kind)) > before, seen=service.said)
    return service.lines(type=kind)[-1]


def policy(service: Service) -> str:
    return ask(service, "Hello").headers["ratelimit-policy"]


def test_a_limit_that_is_raised_holds_for_the_next_request_and_what_was_counted_stays(service):
    reload(service, "AGENT_RATE_LIMIT_ROLES=AUDITEE=2")
    assert [ask(service, "Hello").status_code for _ in range(3)] == [200, 200, 429]
    line = reload(service, "AGENT_RATE_LIMIT_ROLES=AUDITEE=3")
    assert (line["level"], line["changed"], line["needRestart"]) == ("INFO", ["AGENT_RATE_LIMIT_ROLES"], [])
    assert [ask(service, "Hello").status_code for _ in range(2)] == [200, 429]


def test_a_change_is_an_event_of_the_audit(service):
    reload(service, "AGENT_RATE_LIMIT_REQUESTS=7", "AGENT_BUDGET_TOTAL_DAY_USD=12.5")
    reload(service, "AGENT_RATE_LIMIT_REQUESTS=7")
    reload(service, "AGENT_RATE_LIMIT_REQUESTS=7")  # nothing changes: no event
    rows = wait(lambda: len(found := service.sql(CHANGES)) == 2 and found, seen=service.said)
    told = [json.loads(row["metadata"]) for row in rows]
    assert {(row["action"], row["actorId"]) for row in rows} == {("CHANGED", None)}
    assert told[0]["changed"] == {"AGENT_RATE_LIMIT_REQUESTS": "7", "AGENT_BUDGET_TOTAL_DAY_USD": "12.5"}
    assert told[1]["changed"] == {"AGENT_BUDGET_TOTAL_DAY_USD": None}
    assert {each["pid"] for each in told} == {service.pid}


def test_wrong_settings_are_refused_whole_and_no_secret_is_shown(service):
    before = policy(service)
    wrong = ("AGENT_RATE_LIMIT_MODE=perhaps", "AGENT_RATE_LIMIT_REQESTS=5", "AGENT_JWT_SECRET=too-short")
    line = reload(service, "AGENT_RATE_LIMIT_ROLES=AUDITEE=3", *wrong, kind="settings_refused")
    assert line["level"] == "WARN"
    named = sorted(problem.partition(":")[0] for problem in line["problems"])
    assert named == ["AGENT_JWT_SECRET", "AGENT_RATE_LIMIT_MODE", "AGENT_RATE_LIMIT_REQESTS"]
    assert "too-short" not in str(line)
    assert policy(service) == before
    assert service.sql(CHANGES) == []
    reload(service, "AGENT_RATE_LIMIT_ROLES=AUDITEE=3")
    assert policy(service) != before


def test_what_needs_a_restart_is_named_and_waits_for_it(service):
    settings = (
        "AGENT_RATE_LIMIT_STORE=redis://:hidden-word@127.0.0.1:1",
        "AGENT_RATE_LIMIT_ON_LOSS=strict",
        "AGENT_REPLICAS=3",
        "AGENT_AUTH_STALE_MS=5",
        "AGENT_RATE_LIMIT_ROLES=AUDITEE=9",
    )
    line = reload(service, *settings)
    assert line["changed"] == ["AGENT_RATE_LIMIT_ROLES"]
    assert sorted(line["needRestart"]) == [
        "AGENT_AUTH_STALE_MS",
        "AGENT_RATE_LIMIT_ON_LOSS",
        "AGENT_RATE_LIMIT_STORE",
        "AGENT_REPLICAS",
    ]
    assert '"role";q=9;w=60' in policy(service)
    assert service.lines(type="limits_degraded") == []
    (row,) = wait(lambda: service.sql(CHANGES), seen=service.said)
    assert "hidden-word" not in row["metadata"]
    assert service.stop() == 0
    service.start()
    service.wait_for_line(type="limits_degraded")


def test_a_turn_under_way_is_not_touched(service):
    with stream(service, "[sim:slow:300] hello there") as answer:
        answer.until("turn")
        reload(service, "AGENT_RATE_LIMIT_ROLES=AUDITEE=1", "AGENT_RATE_LIMIT_CONCURRENCY=1")
        assert ask(service, "Hello").status_code == 429
        assert [event.event for event in answer.rest()][-1] == "done"


def test_a_budget_comes_and_goes(service):
    assert ask(service, "Hello").status_code == 200
    reload(service, "AGENT_BUDGET_USER_DAY_USD=0.000001")
    refused = ask(service, "Hello")
    assert (refused.status_code, refused.json()["code"]) == (402, "over_budget")
    reload(service, "")
    assert ask(service, "Hello").status_code == 200


def test_a_mode_that_changes_holds_for_the_next_request(service):
    reload(service, "AGENT_RATE_LIMIT_ROLES=AUDITEE=1")
    assert [ask(service, "Hello").status_code for _ in range(2)] == [200, 429]
    reload(service, "AGENT_RATE_LIMIT_ROLES=AUDITEE=1", "AGENT_RATE_LIMIT_MODE=off")
    answer = ask(service, "Hello")
    assert (answer.status_code, "ratelimit" in answer.headers) == (200, False)
    reload(service, "AGENT_RATE_LIMIT_ROLES=AUDITEE=1")
    assert ask(service, "Hello").status_code == 429


def test_a_hangup_while_it_starts_is_heard_once_it_has(tmp_path):
    with Process([*PROGRAM, "serve"], tmp_path, {"AGENT_PORT": "0"}) as process:
        wait((tmp_path / "var").exists, seen=process.said)
        os.kill(process.pid, signal.SIGHUP)
        process.wait_for_word("Ready")
        wait(lambda: any("settings_changed" in line for line in process.stdout), seen=process.said)
        assert process.stop() == 0


def test_it_ends_with_the_terminal_that_it_was_started_on(tmp_path):
    ours, theirs = pty.openpty()
    said = tmp_path / "said"
    with said.open("w") as file:
        process = subprocess.Popen(
            ["setsid", "--ctty", sys.executable, "-m", "service", "serve"],
            cwd=tmp_path,
            env=environment({"AGENT_PORT": "0"}),
            stdin=theirs,
            stdout=file,
            stderr=file,
        )
    try:
        os.close(theirs)
        wait(lambda: "Ready: " in said.read_text(), seen=said.read_text)
        os.close(ours)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
    assert "settings_changed" not in said.read_text()


def test_a_file_that_the_environment_names_is_read_again(tmp_path):
    file = tmp_path / "limits.env"
    file.write_text("AGENT_RATE_LIMIT_ROLES=AUDITEE=2\n")
    (tmp_path / "cwd").mkdir()
    with Service(tmp_path / "cwd", {"AGENT_SETTINGS_FILE": str(file)}) as service:
        assert '"role";q=2;' in policy(service)
        file.write_text("AGENT_RATE_LIMIT_ROLES=AUDITEE=3\n")
        os.kill(service.pid, signal.SIGHUP)
        service.wait_for_line(type="settings_changed")
        assert '"role";q=3;' in policy(service)
        file.unlink()
        os.kill(service.pid, signal.SIGHUP)
        refused = service.wait_for_line(type="settings_refused")
        assert refused["problems"] == ["AGENT_SETTINGS_FILE: there is no such file"]
        assert '"role";q=3;' in policy(service)
