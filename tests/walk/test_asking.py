"""The audit, usage and limits as those see them who may ask, by route and by command, over a real service."""

import csv
import io
import json
import sqlite3
from contextlib import closing
from typing import Any

import httpx
import pytest

from tests.harness.chat import ask
from tests.harness.problems import problem
from tests.harness.service import Service
from tests.harness.waiting import wait

EVENTS, EXPORT = "/api/v1/audit/events", "/api/v1/audit/export"
ALLOWED = {
    "CFO": {"usage", "limits"},
    "CXO_TEAM": {"usage", "limits"},
    "AUDIT_HEAD": {"usage", "limits", "others", "events", "event", "words", "export"},
    "AUDITOR": {"usage", "limits", "events", "event", "export"},
    "AUDITOR audit:content": {"usage", "limits", "events", "event", "words", "export"},
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
}
ROUTES = {"others": "/api/v1/limits/{subject}", "event": f"{EVENTS}/{{event_id}}"}
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
    rows = house.service.rows()
    assert [event["id"] for event in events] == [row["id"] for row in reversed(rows)]
    assert events == list(reversed(rows))


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
    assert exported.stdout == house.get(EXPORT, tool="calculate").text
    sheet = house.service.cli("audit", "export", "--format", "csv")
    assert list(csv.reader(io.StringIO(sheet.stdout))) == list(
        csv.reader(io.StringIO(house.get(EXPORT, format="csv").text))
    )


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
    """Rows by the hand of somebody else."""
    with closing(sqlite3.connect(service.cwd / "var" / "parley.db", timeout=60)) as plain, plain:
        plain.executemany(
            "INSERT INTO audit_event (id, entity_type, entity_id, action, metadata, created_at) "
            "VALUES (?, 'AGENT_QUERY', 'x', 'QUERY', '{}', ?)",
            ((f"filled-{number:06d}", number) for number in range(count)),
        )
        plain.executemany(
            "INSERT INTO audit_content (event_id, query) VALUES (?, ?)",
            ((f"filled-{number:06d}", query) for number in range(count)),
        )


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
