"""parley check, against servers that are there, and addresses where nobody is."""

import json
import os
import socket
import sqlite3
import threading
from contextlib import closing

import pytest

from service.cli import reach
from service.cli.check import Down, folder
from tests.harness.hook import Hook
from tests.harness.model_api import ModelApi
from tests.harness.otlp import Receiver

PASSWORD = "canary-pass"


def found(said):
    """What was told, by name; each name once."""
    told = json.loads(said.out)
    assert all(list(each) == ["name", "status", "detail"] for each in told)
    assert len({each["name"] for each in told}) == len(told)
    return {each["name"]: each for each in told}


def statuses(said):
    return {name: each["status"] for name, each in found(said).items()}


@pytest.fixture
def nobody():
    """A port on which nobody listens: it is bound, so that nobody else takes it meanwhile."""
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def page():
    """An address that answers every request with one status, and the requests it was asked."""
    opened = []

    def start(status):
        server, asked = socket.create_server(("127.0.0.1", 0)), []

        def serve():
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(65536).decode())
                connection.sendall(f"HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:1/\r\n\r\n".encode())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        opened.append((server, thread))
        return f"http://127.0.0.1:{server.getsockname()[1]}", asked

    yield start
    for server, thread in opened:
        thread.join(10)
        server.close()


def test_an_empty_folder_is_all_it_needs_and_nothing_is_made_in_it(parley, tmp_path):
    said = parley("check", "--json")
    assert said.status == 0
    assert statuses(said) == {
        "settings": "up",
        "database": "up",
        "journal": "up",
        "model": "up",
        "otlp": "off",
    }
    assert found(said)["model"]["detail"] == "simulator"
    assert list(tmp_path.iterdir()) == []


def test_in_words_there_is_one_line_for_each_part(parley):
    said = parley("check")
    assert [line.split()[:2] for line in said.out.splitlines()] == [
        ["settings", "up"],
        ["database", "up"],
        ["journal", "up"],
        ["model", "up"],
        ["otlp", "off"],
    ]


def test_everything_that_is_there_is_up(parley, tmp_path):
    assert parley("migrate").status == 0
    (tmp_path / "var" / "journal").mkdir()
    with Receiver() as receiver, ModelApi() as model:
        said = parley("check", "--json", **receiver.settings() | model.settings)
    assert said.status == 0
    assert set(statuses(said).values()) == {"up"}
    assert {name for name in statuses(said) if name.startswith("otlp")} == {
        "otlp_traces",
        "otlp_metrics",
        "otlp_logs",
    }
    assert found(said)["journal"]["detail"] == "var/journal can be written"


def test_everything_that_is_away_is_named_and_no_password_is_shown(parley, nobody):
    said = parley(
        "check",
        "--json",
        ANTHROPIC_BASE_URL=f"http://user:{PASSWORD}@127.0.0.1:{nobody}/{PASSWORD}",
        ANTHROPIC_API_KEY=PASSWORD,
        DATABASE_URL=f"postgresql://user:{PASSWORD}@127.0.0.1:{nobody}/parley",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"http://user:{PASSWORD}@127.0.0.1:{nobody}",
        OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=f"http://127.0.0.1:{nobody}",
        OTEL_EXPORTER_OTLP_LOGS_PROTOCOL="http/protobuf",
        OTEL_EXPORTER_OTLP_HEADERS=f"authorization={PASSWORD}",
        AGENT_JOURNAL_DIR="/proc/journal",
    )
    assert said.status == 1
    assert statuses(said) == {
        "settings": "up",
        "database": "down",
        "journal": "down",
        "model": "down",
        "otlp_traces": "down",
        "otlp_logs": "down",
    }
    assert f"127.0.0.1:{nobody}" in found(said)["model"]["detail"]
    assert PASSWORD not in said.out + said.err


def test_a_webhook_of_alerts_is_asked_whether_it_is_there_and_told_nothing(parley, nobody, monkeypatch):
    with Hook() as hook:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{nobody}")
        said = parley("check", "--json", AGENT_ALERT_WEBHOOK=hook.url)
    assert (said.status, statuses(said)["alerts"], hook.got) == (0, "up", [])
    away = f"http://user:{PASSWORD}@127.0.0.1:{nobody}/{PASSWORD}"
    said = parley("check", "--json", AGENT_ALERT_WEBHOOK=away)
    assert (said.status, statuses(said)["alerts"]) == (1, "down")
    assert PASSWORD not in said.out + said.err


def test_wrong_settings_are_all_told_and_nothing_else_is_looked_at(parley):
    said = parley("check", "--json", AGENT_PORT="x", AGENT_MODLE="y")
    told = json.loads(said.out)
    assert said.status == 2
    assert [each["status"] for each in told] == ["down", "down"]
    assert "AGENT_PORT" in told[0]["detail"]
    assert "AGENT_MODEL" in told[1]["detail"]


def test_a_sink_that_nobody_installed_is_a_setting_that_is_down(parley):
    said = parley("check", "--json", AGENT_SINKS="audit,nobody")
    assert (said.status, statuses(said)["settings"]) == (1, "down")
    assert "nobody" in found(said)["settings"]["detail"]


def test_a_server_that_is_there_is_not_migrated_by_the_look(parley, postgres):
    url = postgres.database()
    said = parley("check", "--json", DATABASE_URL=url)
    assert (said.status, statuses(said)["database"]) == (0, "up")
    assert url.partition("@")[2] in found(said)["database"]["detail"]
    assert parley("keys", "list", DATABASE_URL=url).status == 0
    assert statuses(parley("check", "--json", DATABASE_URL=url))["database"] == "up"


def test_a_file_that_is_no_database_is_down_and_stays_as_it_was(parley, tmp_path):
    (tmp_path / "notes.txt").write_text("no database at all, but more than a hundred bytes of text" * 3)
    said = parley("check", "--json", DATABASE_URL=f"sqlite:///{tmp_path}/notes.txt")
    assert (said.status, statuses(said)["database"]) == (1, "down")
    assert (tmp_path / "notes.txt").read_text().startswith("no database")


def test_a_database_of_an_older_version_stays_as_it_was(parley, tmp_path):
    with closing(sqlite3.connect(tmp_path / "old.db")) as old:
        old.execute("CREATE TABLE old (a)")
    before = (tmp_path / "old.db").read_bytes()
    assert parley("check", DATABASE_URL="sqlite:///old.db").status == 0
    assert (tmp_path / "old.db").read_bytes() == before


@pytest.mark.parametrize("kind", ["directory", "pipe"])
def test_a_path_that_is_no_file_is_down(parley, tmp_path, kind):
    (tmp_path / "it").mkdir() if kind == "directory" else os.mkfifo(tmp_path / "it")
    said = parley("check", "--json", DATABASE_URL="sqlite:///it")
    assert (said.status, statuses(said)["database"]) == (1, "down")


def test_the_endpoints_of_env_files_count(parley, tmp_path, nobody):
    (tmp_path / ".env").write_text(f"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:{nobody}\n")
    assert statuses(parley("check", "--json"))["otlp_metrics"] == "down"


def test_a_configuration_file_is_looked_for_and_not_read(parley, tmp_path, nobody):
    (tmp_path / "otel.yaml").write_text("file_format: '1.0'\n")
    elsewhere = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{nobody}"}
    said = parley("check", "--json", OTEL_CONFIG_FILE="otel.yaml", **elsewhere)
    assert (said.status, statuses(said)["otlp"]) == (0, "up")
    said = parley("check", "--json", OTEL_CONFIG_FILE="nowhere.yaml")
    assert (said.status, statuses(said)["otlp"]) == (1, "down")


@pytest.mark.parametrize("status", [200, 302, 401, 404, 500])
def test_any_status_is_somebody_at_home(page, status):
    url, asked = page(status)
    reach.ask_http(url.replace("//", "//user:canary@"))
    assert asked[0].startswith("HEAD / HTTP/1.1")
    assert "canary" not in asked[0]
    assert "authorization" not in asked[0].lower()


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/", "localhost:4318", "http://", ""])
def test_what_is_no_http_address_is_unreachable(url):
    with pytest.raises(reach.Unreachable):
        reach.ask_http(url)


@pytest.mark.parametrize("url", ["", "http://", "http://h:99999", "http://[::1"])
def test_what_is_no_address_is_unreachable(url):
    with pytest.raises(reach.Unreachable):
        reach.connect(url)
    assert isinstance(reach.where(url), str)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://u:p@h:1/path?q", "h:1"),
        ("https://h", "h:443"),
        ("h:4317", "h:4317"),
        ("http://[::1]:4317", "[::1]:4317"),
    ],
)
def test_an_address_is_shown_without_what_it_may_hide(url, shown):
    assert reach.where(url) == shown


def test_a_folder_below_a_file_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Down):
        folder(tmp_path / "file" / "journal")


@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_signing_key_that_is_none_is_refused_by_name(parley, command):
    said = parley(command, AGENT_AUDIT_SIGNING_KEY="hunter2")
    assert said.status == 2
    assert "AGENT_AUDIT_SIGNING_KEY: The private key" in said.out + said.err
    assert "hunter2" not in said.out + said.err


def test_a_model_of_a_provider_that_is_not_installed_is_down_and_names_those_that_are(parley):
    said = parley("check", "--json", AGENT_MODEL_PROVIDER="nobodys")
    told = found(said)["model"]
    assert (said.status, told["status"]) == (1, "down")
    assert "no such provider: nobodys; installed: anthropic" in told["detail"]
