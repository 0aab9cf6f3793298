"""The same service on PostgreSQL: an answer and its row, and a server that goes away and comes back."""

import signal

import httpx
import pytest

from tests.harness.chat import ask, stream
from tests.harness.postgres import PASSWORD, Postgres
from tests.harness.service import Service
from tests.harness.waiting import wait

CONTRACT = (
    """SELECT * FROM "AuditEvent" WHERE "entityType" = 'AGENT_QUERY' ORDER BY "createdAt" DESC LIMIT 10;"""
)
TEXT = "A database error occurred. Please try again in a moment."
MANY = "AUDITEE=1000"


@pytest.fixture
def own():
    """A server that a test may stop."""
    with Postgres() as server:
        yield server


def readiness(service):
    response = httpx.get(f"{service.url}/health/ready", timeout=30)
    told = response.json()
    return response.status_code, told["status"], told["dependencies"]["database"]["status"]


def test_an_answer_a_stream_and_a_refusal_are_rows_under_the_contracts_query(start_service, postgres):
    service = start_service(DATABASE_URL=postgres.database())
    whole = ask(service, "What is 12*7?").json()
    with stream(service, "What is 12*7?") as answer:
        streamed = answer.rest()[-1].data
    assert ask(service, "").status_code == 400
    rows = service.wait_for_rows(3)
    assert [row["outcome"] for row in rows] == ["answered", "answered", "refused"]
    assert [row["entityId"] for row in rows[:2]] == [whole["id"], streamed["id"]]
    assert rows[0]["metadata"]["query"] == "What is 12*7?"
    assert rows[0]["metadata"]["toolsCalled"] == ["calculate"]
    assert (rows[0]["costMicros"], rows[0]["metadata"]["cost"]) == (round(whole["cost"] * 1e6), whole["cost"])
    assert [row["id"] for row in service.sql(CONTRACT)] == [row["id"] for row in reversed(rows)]
    (found,) = service.sql(
        """SELECT count(*) AS n FROM "AuditEvent" WHERE metadata->>'outcome' = 'answered'"""
    )
    assert found == {"n": 2}


def test_keys_are_made_listed_and_revoked_by_the_command(start_service, postgres):
    service = start_service(DATABASE_URL=postgres.database())
    made = service.cli("keys", "create", "--user", "ann", "--role", "GUEST")
    key = made.stdout.split()[0]
    assert ask(service, "Hello", key=key).status_code == 200
    assert service.cli("keys", "revoke", key.split("_")[1]).returncode == 0
    assert ask(service, "Hello", key=key).status_code == 401
    assert service.cli("migrate").stdout == "The database is up to date.\n"


def test_a_restart_finds_everything(start_service, postgres):
    service = start_service(DATABASE_URL=postgres.database())
    ask(service, "Hello")
    assert service.stop() == 0
    service.start()
    assert ask(service, "Hello").status_code == 200
    assert len(service.wait_for_rows(2)) == 2


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_a_server_that_is_away_is_told_and_every_row_arrives_once(start_service, own, how):
    """With nothing remembered of those who were let in, all depends on the database."""
    service = start_service(DATABASE_URL=own.database(), AGENT_RATE_LIMIT_ROLES=MANY, AGENT_AUTH_STALE_MS="0")
    told = [ask(service, "Hello").headers["x-request-id"] for _ in range(3)]
    own.stop(how)
    for _ in range(5):
        refused = ask(service, "Hello")
        assert (refused.status_code, refused.json()["code"]) == (500, "database_error")
        assert refused.json()["error"] == TEXT
        assert "127.0.0.1" not in refused.text
        told.append(refused.headers["x-request-id"])
    assert readiness(service) == (200, "degraded", "degraded")
    own.start()
    wait(lambda: readiness(service) == (200, "ready", "up"), seen=service.said)
    told += [ask(service, "Hello").headers["x-request-id"] for _ in range(3)]
    rows = service.wait_for_rows(len(told))
    assert sorted(row["entityId"] for row in rows) == sorted(told)
    assert PASSWORD not in service.said()


def test_a_server_that_stands_still_is_an_error_in_time_and_later_none(start_service, own):
    service = start_service(DATABASE_URL=own.database(), AGENT_RATE_LIMIT_ROLES=MANY)
    begun = ask(service, "Hello").json()
    told = [begun["id"]]
    service.wait_for_rows(1)
    own.freeze()
    try:
        refused = ask(service, "Hello", conversationId=begun["conversationId"])
        assert (refused.status_code, refused.json()["code"]) == (500, "database_error")
        told.append(refused.headers["x-request-id"])
        assert readiness(service)[:2] == (200, "degraded")
    finally:
        own.thaw()
    wait(lambda: readiness(service)[1] == "ready", seen=service.said)
    rows = service.wait_for_rows(2)
    assert sorted(row["entityId"] for row in rows) == sorted(told)


def test_a_server_that_is_away_at_the_start_ends_it_in_a_sentence(tmp_path, own):
    url = own.database()
    own.stop()
    service = Service(tmp_path, {"DATABASE_URL": url})
    for command in ("serve", "migrate"):
        done = service.cli(command)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.splitlines()[-1] == (
            "parley: The database server cannot be reached: Connection refused. "
            f"DATABASE_URL names {url.rpartition('@')[2]}."
        )
        assert PASSWORD not in done.stderr


def test_the_settings_show_no_password(tmp_path, postgres):
    done = Service(tmp_path, {"DATABASE_URL": postgres.url("d")}).cli("settings", "--json")
    assert done.returncode == 0
    assert "postgresql://***@127.0.0.1" in done.stdout
    assert PASSWORD not in done.stdout
