"""The audit, usage and limits as those see them who may ask, by route and by command, over a real service."""

import asyncio
import csv
import io
import json
import sqlite3
import subprocess
from contextlib import closing
from typing import Any

import httpx
import pytest

from service.store.database import open_database
from tests.harness.chat import ask
from tests.harness.problems import problem
from tests.harness.process import environment
from tests.harness.service import PROGRAM, Service
from tests.harness.waiting import wait
from tests.service.store.rows import Row

EVENTS, EXPORT = "/api/v1/audit/events", "/api/v1/audit/export"
AUDITING = {"events", "event", "proof", "export", "verify", "key"}
ALLOWED = {
    "CFO": {"usage", "limits"},
    "CXO_TEAM": {"usage", "limits"},
    "AUDIT_HEAD": {"usage", "limits", "others", "words"} | AUDITING,
    "AUDITOR": {"usage", "limits"} | AUDITING,
    "AUDITOR audit:content": {"usage", "limits", "words"} | AUDITING,
    "AUDITEE": {"usage", "limits"},
    "GUEST": {"usage", "limits"},
    "INTERN": {"usage", "limits"},
    "INTERN audit:content": {"usage", "limits"},
}
PATHS = {
    "usage": "/api/v1/usage",
    "limits": "/api/v1/limits",
    "others": "/api/v1/limits/dev",
    "events": EVENTS,
    "event": f"{EVENTS}/{{turn}}",
    "words": f"{EVENTS}?q=hello",
    "export": EXPORT,
    "proof": f"{EVENTS}/{{turn}}/proof",
    "verify": "/api/v1/audit/verify",
    "key": "/api/v1/audit/key",
}
ROUTES = {
    "others": "/api/v1/limits/{subject}",
    "event": f"{EVENTS}/{{event_id}}",
    "proof": f"{EVENTS}/{{event_id}}/proof",
}
"""The templates of those that say what they are about in their path."""
LIMITS = {"AGENT_RATE_LIMIT_ROLES": "AUDITEE=1000,GUEST=3"}


class House:
    """A service with some turns behind it, and a key for each role."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.keys = {role: self.key_of(role) for role in ALLOWED}
        self.answers = [ask(service, f"Hello {number} {mark}").json() for number, mark in enumerate(MARKS)]
        ask(service, "")
        ask(service, "Hello", key="")
        service.wait_for_rows(len(MARKS) + 2)

    def key_of(self, role: str) -> str:
        name, *scopes = role.split()
        scoped = [each for scope in scopes for each in ("--scope", scope)]
        user = f"{name.lower()}{len(scopes)}"
        made = self.service.cli("keys", "create", "--user", user, "--role", name, *scoped, "--json")
        return json.loads(made.stdout)["key"]

    def get(self, path: str, role: str = "AUDIT_HEAD", **parameters: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.keys[role]}"}
        url = self.service.url + path
        return httpx.get(url, params=parameters or None, headers=headers, trust_env=False)

    def told(self, *arguments: str) -> Any:
        done = self.service.cli(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


MARKS = ["", "[sim:tool]", "[sim:tools3]", "", "[sim:tool]"]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with Service(tmp_path_factory.mktemp("asking"), LIMITS) as service:
        yield House(service)


@pytest.mark.parametrize("role", ALLOWED)
@pytest.mark.parametrize("name", PATHS)
def test_every_role_at_every_route(house, role, name):
    response = house.get(PATHS[name].format(turn=house.answers[0]["id"]), role)
    if name in ALLOWED[role]:
        assert response.status_code == 200
    else:
        problem(response, 403, "forbidden")
        line = house.service.wait_for_line(type="access_denied", requestId=response.headers["x-request-id"])
        assert line["route"] == f"GET {ROUTES.get(name) or PATHS[name].partition('?')[0]}"


@pytest.mark.parametrize("name", PATHS)
def test_nobody_at_every_route(house, name):
    response = httpx.get(house.service.url + PATHS[name].format(turn="x"), trust_env=False)
    problem(response, 401, "unauthenticated")
    assert house.service.wait_for_line(type="access_denied", requestId=response.headers["x-request-id"])


def test_events_are_the_rows_of_the_database(house):
    events = house.get(EVENTS).json()["events"]
    rows = house.service.rows()[::-1]
    assert [event["id"] for event in events] == [row["id"] for row in rows]
    # Whoever asks sees one tenant's events alone: the column is for whoever asks the database itself.
    assert [event | {"tenant": None} for event in events] == rows


def test_an_answer_is_found_by_all_that_is_known_of_it(house):
    answer = house.answers[2]
    for known in (
        {"traceId": answer["traceId"]},
        {"q": "hello 2"},
        {"tool": answer["toolsCalled"][0], "q": "[sim:tools3]", "actor": "dev", "outcome": "answered"},
    ):
        (event,) = house.get(EVENTS, **known).json()["events"]
        assert (event["id"], event["cost"]) == (answer["id"], answer["cost"])
        assert event["metadata"]["toolsCalled"] == answer["toolsCalled"]


def test_usage_is_what_the_answers_said(house):
    micros = sum(round(answer["cost"] * 1_000_000) for answer in house.answers)
    tokens = [
        sum(answer["usage"][name] for answer in house.answers) for name in ("inputTokens", "outputTokens")
    ]
    for grouping in ("user", "role", "model", "tool", "day"):
        usage = house.get("/api/v1/usage", "CFO", groupBy=grouping).json()
        total = usage["total"]
        assert round(total["cost"] * 1_000_000) == micros > 0
        assert [total["inputTokens"], total["outputTokens"]] == tokens
        assert total["turns"] == len(house.answers) + 2
        if grouping != "tool":
            assert sum(round(row["cost"] * 1_000_000) for row in usage["rows"]) == micros
        assert usage == house.told("usage", "--group-by", grouping)


def test_limits_are_those_of_the_next_answer(start_service):
    service = start_service(AGENT_RATE_LIMIT_ROLES="AUDITEE=3")
    headers = {"authorization": f"Bearer {service.api_key}"}

    def standing(path):
        return httpx.get(service.url + path, headers=headers, trust_env=False).json()["policies"][0]

    assert standing("/api/v1/limits") == {
        "name": "role",
        "limit": 3,
        "window": 60,
        "remaining": 3,
        "reset": 0,
    }
    answered = ask(service, "Hello")
    assert answered.headers["ratelimit"].startswith('"role";r=2;')
    assert [standing(path)["remaining"] for path in ("/api/v1/limits", "/api/v1/limits/dev")] == [2, 2]


def test_reading_content_and_exporting_leave_rows(house):
    response = house.get(f"{EXPORT}?role=AUDITEE&format=csv", "AUDITOR")
    look = 'SELECT * FROM "AuditEvent" WHERE "entityType" = \'AUDIT_ACCESS\' AND "requestId" = ?'
    identity = response.headers["x-request-id"]
    rows = wait(lambda: house.service.sql(look, [identity]))
    assert (rows[0]["action"], rows[0]["actorId"], rows[0]["role"]) == ("EXPORT", "auditor0", "AUDITOR")
    told = json.loads(rows[0]["metadata"])
    assert (told["route"], told["filters"]["role"]) == (f"GET {EXPORT}", "AUDITEE")


def test_commands_say_what_the_routes_say(house):
    page = house.get(EVENTS, limit=3).json()
    assert house.told("audit", "list", "--limit", "3") == page
    following = house.told("audit", "list", "--limit", "3", "--cursor", page["nextCursor"])
    assert following == house.get(EVENTS, limit=3, cursor=page["nextCursor"]).json()
    event = house.answers[0]["id"]
    assert house.told("audit", "show", event) == house.get(f"{EVENTS}/{event}").json()
    exported = house.service.cli("audit", "export", "--tool", "calculate")
    assert lines_in(exported.stdout) == lines_in(house.get(EXPORT, tool="calculate").text)
    sheet = house.service.cli("audit", "export", "--format", "csv")
    assert cells_in(sheet.stdout) == cells_in(house.get(EXPORT, format="csv").text)
    key = house.get("/api/v1/audit/key").json()
    assert house.told("audit", "key") == key
    proofs = house.told("audit", "prove", event), house.get(f"{EVENTS}/{event}/proof").json()
    assert [proof["seal"]["columns"] for proof in proofs] == [proofs[0]["seal"]["columns"]] * 2


def lines_in(text):
    """The events of an export. Their proofs differ: the look at the first is an event of the second's log."""
    return [{**json.loads(line), "seal": None} for line in text.splitlines()]


def cells_in(text):
    return [row[:-1] for row in csv.reader(io.StringIO(text, newline=""))]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
@pytest.mark.parametrize("kinds", ["AGENT_QUERY", "all"])
def test_what_is_handed_out_is_verified_by_a_stranger_with_the_key_alone(house, tmp_path, form, kinds):
    (tmp_path / "key").write_text(house.get("/api/v1/audit/key").json()["publicKey"])
    for role in ("AUDIT_HEAD", "AUDITOR"):
        (tmp_path / "file").write_bytes(house.get(EXPORT, role, format=form, entityType=kinds).content)
        report = told_of(tmp_path, "file")
        assert (report["valid"], report["rows"] >= len(MARKS)) == (True, True)
    text = (tmp_path / "file").read_text().replace("answered", "refused", 1)
    (tmp_path / "file").write_text(text)
    assert {each["kind"] for each in told_of(tmp_path, "file")["findings"]} == {"altered"}
    (tmp_path / "proof").write_bytes(house.get(f"{EVENTS}/{house.answers[0]['id']}/proof").content)
    assert told_of(tmp_path, "proof")["valid"]


def told_of(folder, file):
    """What the command says of a file in a folder without any installation."""
    command = [*PROGRAM, "audit", "verify", file, "--public-key", "key", "--json"]
    done = subprocess.run(
        command, cwd=folder, env=environment({}), capture_output=True, text=True, check=False
    )
    assert done.returncode in {0, 1}, done.stderr
    return json.loads(done.stdout)


def test_the_log_of_a_running_service_is_verified_against_the_lines_it_wrote(house, tmp_path):
    (tmp_path / "lines").write_text("".join(json.dumps(line) + "\n" for line in house.service.lines()))
    done = house.service.cli("audit", "verify", "--json", "--checkpoint", str(tmp_path / "lines"))
    report = json.loads(done.stdout)
    assert (done.returncode, report["valid"], report["findings"]) == (0, True, [])
    assert report["freshness"] == timed(house.service.lines(type="audit_checkpoint")[-1])
    assert house.get("/api/v1/audit/verify").json()["valid"]


def timed(line):
    """The time in a line's checkpoint."""
    return line["checkpoint"].split("\n")[3].removeprefix("time ")


def test_a_command_that_shows_content_leaves_the_name_of_the_machines_user(house):
    before = house.told("audit", "stats", "--entity-type", "AUDIT_ACCESS")["rows"]
    house.told("audit", "list", "--q", "hello")
    (look,) = house.told("audit", "list", "--entity-type", "AUDIT_ACCESS", "--q", "hello", "--limit", "1")[
        "events"
    ]
    assert look["metadata"]["route"] == "parley audit list"
    assert look["metadata"]["systemUser"]
    assert house.told("audit", "stats", "--entity-type", "AUDIT_ACCESS")["rows"] == before + 2


def test_stats_count_every_event(house):
    told = house.told("audit", "stats", "--entity-type", "AGENT_QUERY", "--actor", "dev")
    assert (told["rows"], told["events"]) == (len(MARKS) + 1, len(MARKS) + 1)
    assert told["outcomes"] == {"answered": len(MARKS), "refused": 1}
    assert told["categories"] == {"validation": 1}


def test_limits_of_the_settings_are_shown(house):
    shown = house.told("limits", "show")
    assert shown["roles"]["GUEST"]["policies"][0]["limit"] == 3
    assert shown["roles"]["other"]["policies"][0]["limit"] == 20
    of_one = house.told("limits", "show", "dev")
    assert (of_one["role"], of_one["policies"][0]["limit"]) == ("AUDITEE", 1000)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["audit", "show", "nothing"], 1, "there is no audit event of that id"),
        (["limits", "show", "nobody"], 1, "there is no user of that name"),
        (["audit", "list", "--limit", "0", "--from", "x"], 2, "--limit: Expected"),
        (["audit", "list", "--trace-id", "x"], 2, "--trace-id: Expected"),
        (["audit", "list", "--cursor", "x"], 2, "--cursor: Not a cursor"),
        (["audit", "export", "--format", "xml"], 2, "--format: "),
        (["usage", "--group-by", "x"], 2, "--group-by: "),
        (["audit"], 2, "VERB"),
        (["audit", "list", "--nothing", "x"], 2, "--nothing"),
    ],
)
def test_a_command_that_cannot_says_why(house, arguments, code, words):
    done = house.service.cli(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr


def test_words_for_a_terminal_move_no_cursor(start_service):
    service = start_service()
    ask(service, "evil \x1b[31m\r\n\u202e text")
    service.wait_for_rows(1)
    said = service.cli("audit", "list", "--q", "evil").stdout
    assert "\\u001b[31m\\u000d\\u000a\\u202e text" in said
    assert len(said.splitlines()) == 1


def fill(service, count, query):
    """Rows by the hand of another process."""
    rows = [Row(id=f"filled-{number:06d}", created_at=1 + number, query=query) for number in range(count)]

    async def append():
        database = await open_database(f"sqlite:///{service.cwd}/var/parley.db")
        for start in range(0, count, 500):
            await database.audit.append(rows[start : start + 500])
        await database.close()

    asyncio.run(append())


def memory_of(service):
    """Bytes."""
    with open(f"/proc/{service.pid}/statm") as file:  # noqa: PTH123 - no path of ours
        return int(file.read().split()[1]) * 4096


def test_an_export_takes_no_memory_however_long_it_is_and_however_slow_its_reader(start_service):
    service = start_service()
    made = service.cli("keys", "create", "--user", "head", "--role", "AUDIT_HEAD", "--json")
    fill(service, 30_000, "x" * 4_000)
    headers = {"authorization": f"Bearer {json.loads(made.stdout)['key']}"}
    httpx.get(service.url + EVENTS, headers=headers, trust_env=False)
    before, most, lines = memory_of(service), 0, 0
    with httpx.stream("GET", service.url + EXPORT, headers=headers, trust_env=False) as response:
        most = max(most, memory_of(service))
        for line in response.iter_lines():
            lines += line.startswith('{"id"')
            if lines % 5_000 == 0:
                most = max(most, memory_of(service))
    assert lines == 30_000
    assert most - before < 60_000_000  # the file itself is 130 MB


def test_an_export_that_fails_on_its_way_says_so_and_breaks(start_service):
    service = start_service()
    made = service.cli("keys", "create", "--user", "head", "--role", "AUDIT_HEAD", "--json")
    fill(service, 1_000, "x")
    with closing(sqlite3.connect(service.cwd / "var" / "parley.db", isolation_level=None)) as plain:
        plain.execute("PRAGMA ignore_check_constraints = 1")
        plain.execute("DROP TRIGGER audit_event_unchanged")
        plain.execute("UPDATE audit_event SET metadata = 'damaged' WHERE id = 'filled-000300'")
    headers = {"authorization": f"Bearer {json.loads(made.stdout)['key']}"}
    pieces = []
    with httpx.stream("GET", service.url + EXPORT, headers=headers, trust_env=False) as response:
        assert response.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            pieces.extend(response.iter_text())
    text = "".join(pieces)
    assert json.loads(text.splitlines()[-1])["error"].startswith("The export is not complete.")
    assert 100 < text.count("filled-") < 700
    done = service.cli("audit", "export", "--format", "csv")
    assert done.returncode == 2
    assert "The export is not complete." in done.stdout.splitlines()[-1]


def test_without_an_audit_there_is_nothing_to_keep_looks_in(start_service):
    service = start_service(AGENT_AUDIT_LOGGING_ENABLED="false")
    made = service.cli("keys", "create", "--user", "head", "--role", "AUDIT_HEAD", "--json")
    headers = {"authorization": f"Bearer {json.loads(made.stdout)['key']}"}
    ask(service, "Hello")
    response = httpx.get(service.url + EVENTS, headers=headers, trust_env=False)
    assert response.json() == {"events": [], "nextCursor": None}
    assert service.cli("audit", "list").stdout == "no events\n"
    assert service.sql("SELECT * FROM audit_event") == []


@pytest.mark.parametrize("named", ["id", "traceId"])
def test_a_querys_life_is_told_by_either_id_and_without_its_words(house, named):
    answer = house.answers[1]
    (told,) = house.told("trace", answer[named])["events"]
    assert (told["id"], told["cost"], told["metadata"]["query"]) == (answer["id"], answer["cost"], None)
    assert answer["id"] in house.service.cli("trace", answer[named]).stdout
    assert house.service.cli("trace", "0" * 32).returncode == 1
