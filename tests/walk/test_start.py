"""Starting: in an empty folder, again, twice at once; and the keys and questions that work from then on."""

import json
import stat
import threading

import httpx
import pytest

from tests.conftest import MANY
from tests.harness.chat import ask
from tests.harness.process import Process
from tests.harness.service import PROGRAM, Service

CONTRACT = """
SELECT * FROM "AuditEvent" WHERE "entityType" = 'AGENT_QUERY' ORDER BY "createdAt" DESC LIMIT 10;
"""
COLUMNS = {"id", "entityType", "entityId", "action", "actorId", "metadata", "createdAt"}
METADATA = {
    "query",
    "responseLength",
    "toolsCalled",
    "usage",
    "cost",
    "timestamp",
    "outcome",
    "category",
    "code",
    "role",
    "model",
    "traceId",
    "requestId",
    "responseTime",
    "toolCalls",
    "rateLimit",
    "count",
}


def made(service: Service, *arguments: str) -> dict[str, str]:
    """A new key, as the command printed it."""
    done = service.cli("keys", "create", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_empty_folder_is_all_it_needs(start_service):
    service = start_service()
    assert service.url.startswith("http://127.0.0.1:")
    assert ask(service, "Hello").status_code == 200
    words = service.stderr.split("\n")
    assert sum(word.startswith("API key: ") for word in words) == 1
    assert sum(word.startswith("Ready: ") for word in words) == 1
    for file in (service.cwd / "var").iterdir():
        assert not stat.S_IMODE(file.stat().st_mode) & 0o077, file.name


def test_a_restart_keeps_key_rows_and_goes_on(start_service):
    service = start_service()
    first = service.api_key
    ask(service, "Hello")
    assert service.stop() == 0
    service.start()
    assert service.api_key == first
    assert ask(service, "Hello", key=first).status_code == 200
    assert len(service.wait_for_rows(2)) == 2


def test_a_crash_loses_no_key_and_the_next_start_is_the_same(start_service):
    service = start_service()
    first = service.api_key
    service.kill()
    service.start()
    assert (service.api_key, ask(service, "Hello").status_code) == (first, 200)


def test_two_processes_share_one_database(tmp_path):
    one, two = Service(tmp_path, MANY), Service(tmp_path, MANY)
    starts = [threading.Thread(target=each.start) for each in (one, two)]
    try:
        for start in starts:
            start.start()
        for start in starts:
            start.join()
        assert one.api_key == two.api_key
        asked = [ask(each, "Hello").json()["id"] for each in (one, two) * 10]
        rows = one.wait_for_rows(20)
        assert {row["entityId"] for row in rows} == set(asked)
        assert (one.stop(), two.stop()) == (0, 0)
    finally:
        one.kill()
        two.kill()


def test_a_new_key_works_at_once_and_a_revoked_one_no_longer(service):
    key = made(service, "--user", "newcomer", "--role", "AUDITOR")
    assert set(key) == {"id", "key", "user", "role", "expiresAt"}
    answer = ask(service, "Hello", key=key["key"])
    (row,) = service.wait_for_rows(entityId=answer.json()["id"])
    assert (row["actorId"], row["role"]) == ("newcomer", "AUDITOR")
    assert service.cli("keys", "revoke", key["id"]).returncode == 0
    assert ask(service, "Hello", key=key["key"]).status_code == 401
    assert service.cli("keys", "revoke", key["id"]).returncode == 1


def test_keys_are_listed_and_never_told_again(service):
    key = made(service, "--user", "listed", "--role", "GUEST", "--expires", "90d")
    listed = service.cli("keys", "list", "--json")
    (row,) = [row for row in json.loads(listed.stdout) if row["id"] == key["id"]]
    assert (row["user"], row["role"], row["status"]) == ("listed", "GUEST", "active")
    assert row["expiresAt"] == key["expiresAt"]
    assert key["key"].rpartition("_")[2] not in listed.stdout
    assert key["key"].rpartition("_")[2] not in repr(service.sql("SELECT * FROM api_key"))


def test_live_and_ready_say_so(service):
    ask(service, "Hello")  # others have made the model fail
    live = httpx.get(f"{service.url}/health/live", trust_env=False)
    ready = httpx.get(f"{service.url}/health/ready", trust_env=False)
    assert (live.status_code, ready.status_code) == (200, 200)
    body = ready.json()
    assert set(body) == {"status", "dependencies"}
    assert body["status"] == "ready"
    assert body["dependencies"].keys() >= {"database", "model", "limits"}
    assert all(set(each) == {"status", "detail"} for each in body["dependencies"].values())
    assert "simulator" in body["dependencies"]["model"]["detail"]


def test_a_database_that_went_away_is_degraded_and_not_dead(start_service):
    service = start_service()
    (service.cwd / "var" / "parley.db").rename(service.cwd / "var" / "elsewhere.db")
    ready = httpx.get(f"{service.url}/health/ready", trust_env=False)
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert ready.json()["dependencies"]["database"]["status"] == "degraded"
    assert httpx.get(f"{service.url}/health/live", trust_env=False).status_code == 200


def test_the_contracts_sql_works_as_written(service):
    answer = ask(service, "What is 12*7? And what time is it?").json()
    service.wait_for_rows(entityId=answer["id"])
    rows = service.sql(CONTRACT)
    assert 1 <= len(rows) <= 10
    assert [row["createdAt"] for row in rows] == sorted((row["createdAt"] for row in rows), reverse=True)
    row = next(row for row in rows if row["entityId"] == answer["id"])
    assert row.keys() >= COLUMNS
    metadata = json.loads(row["metadata"])
    assert metadata.keys() >= METADATA
    assert metadata["query"] == "What is 12*7? And what time is it?"
    assert metadata["responseLength"] == len(answer["response"])
    assert metadata["toolsCalled"] == answer["toolsCalled"] == ["calculate", "current_time"]
    assert metadata["usage"].items() >= answer["usage"].items()
    assert (metadata["cost"], metadata["traceId"], metadata["outcome"]) == (
        answer["cost"],
        answer["traceId"],
        "answered",
    )
    assert (row["action"], row["actorId"], metadata["timestamp"]) == ("QUERY", "dev", row["createdAt"])


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"AGENT_ENVIRONMENT": "production"}, "AGENT_SECRET_KEY"),
        ({"AGENT_ENVIRONMENT": "production", "AGENT_SECRET_KEY": "s" * 40}, "ANTHROPIC_API_KEY"),
        ({"AGENT_RATE_LIMIT_MODE": "maybe"}, "AGENT_RATE_LIMIT_MODE"),
        ({"AGENT_SINKS": "audit,nobody"}, "AGENT_SINKS"),
        ({"AGENT_RATE_LIMIT_REQESTS": "5"}, "AGENT_RATE_LIMIT_REQUESTS"),
        ({"OTEL_TRACES_EXPORTER": "nobody"}, "OTEL"),
    ],
)
def test_what_cannot_be_started_is_named_and_nothing_runs(tmp_path, settings, named):
    with Process([*PROGRAM, "serve"], tmp_path, {"AGENT_PORT": "0"} | settings) as process:
        code = process._popen.wait(30)
        process.kill()
        assert code == 2
        assert named in "\n".join(process.stderr)
        assert "Traceback" not in "\n".join(process.stderr)
        assert process.stdout == []


def test_in_production_nothing_is_made_up_and_nothing_is_told(start_service):
    service = start_service(AGENT_ENVIRONMENT="production", AGENT_SECRET_KEY="s" * 40, AGENT_SIMULATOR="true")
    assert "API key" not in service.stderr
    assert service.sql("SELECT * FROM api_key") == []
    key = made(service, "--user", "first", "--role", "CFO")["key"]
    assert ask(service, "Hello", key=key).status_code == 200
    assert "s" * 40 not in service.stderr + "\n".join(service.stdout)


def test_a_port_that_is_taken_is_named(start_service):
    service = start_service()
    port = service.url.rpartition(":")[2]
    with Process([*PROGRAM, "serve"], service.cwd, {"AGENT_PORT": port}) as process:
        code = process._popen.wait(30)
        process.kill()
        assert code in {1, 2}
        assert "Traceback" not in "\n".join(process.stderr)
        assert process.stdout == []
    assert ask(service, "Hello").status_code == 200
