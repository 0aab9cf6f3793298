"""The handle on a service, tried on a stand-in that prints the same lines."""

import json
import signal
import sqlite3

import pytest

from tests.harness.chat import ask
from tests.harness.service import Service
from tests.harness.test_process import gone
from tests.harness.waiting import wait


def test_it_is_ready_with_address_and_key(start_service):
    service = start_service()
    assert service.running
    assert service.url.startswith("http://127.0.0.1:")
    assert service.api_key == "pk-stand-in"
    assert f"Ready: {service.url}" in service.stderr


def test_its_settings_are_its_whole_environment(start_service, monkeypatch):
    monkeypatch.setenv("AGENT_MODEL", "inherited")
    service = start_service(AGENT_HOST="here")
    inside = service.wait_for_line(type="started")["environment"]
    assert {name: value for name, value in inside.items() if name.startswith("AGENT_")} == {
        "AGENT_PORT": "0",
        "AGENT_HOST": "here",
    }


def test_it_exports_only_where_it_is_told_to(start_service, receiver):
    quiet, telling = start_service(), start_service(receiver)
    inside = telling.wait_for_line(type="started")["environment"]
    assert inside["OTEL_EXPORTER_OTLP_ENDPOINT"] == f"http://127.0.0.1:{receiver.http_port}"
    assert inside["OTEL_BSP_SCHEDULE_DELAY"] == "100"
    assert not [name for name in quiet.wait_for_line(type="started")["environment"] if "OTEL" in name]


def test_several_run_beside_each_other(start_service):
    one, two = start_service(), start_service()
    assert one.url != two.url
    assert one.cwd != two.cwd


def test_one_that_cannot_start_fails_with_its_words_and_is_gone(tmp_path, program):
    service = Service(tmp_path, {"STAND_IN": "crash"}, program)
    with pytest.raises(AssertionError, match=r"exit code 2\n(.|\n)*cannot start: AGENT_PORT"):
        service.start()
    assert not service.running
    assert gone(service.pid)


def test_lines_are_chosen_by_their_fields(start_service):
    service = start_service()
    ask(service, "one")
    ask(service, "two")
    assert service.wait_for_line(type="agent_query_completed", query="two")["query"] == "two"
    assert [line["query"] for line in service.lines(type="agent_query_completed")] == ["one", "two"]
    assert service.lines(type="agent_query_completed", absent=None) == []


def test_waiting_for_a_line_in_vain_tells_what_was_said(start_service):
    service = start_service()
    with pytest.raises(AssertionError, match="API key: pk-stand-in"):
        service.wait_for_line(0, type="never")


def test_a_line_that_is_no_json_is_an_error_but_can_be_read_as_text(start_service):
    service = start_service(STAND_IN="stray")
    assert "plain words" in service.stdout
    with pytest.raises(json.JSONDecodeError):
        service.lines()


def test_rows_are_waited_for_and_decoded(start_service):
    service = start_service()
    assert service.rows() == []
    ask(service, "one")
    ask(service, "two")
    (row,) = service.wait_for_rows(entityId="two")
    assert row["metadata"] == {"query": "two"}
    assert [row["entityId"] for row in service.wait_for_rows(2)] == ["one", "two"]


def test_waiting_for_rows_in_vain_tells_those_there_are(start_service):
    service = start_service()
    ask(service, "one")
    service.wait_for_rows()
    with pytest.raises(AssertionError, match=r"rows: \[\{.*'entityId': 'one'"):
        service.wait_for_rows(2, 0)


def test_sql_takes_parameters_and_reads_only(start_service):
    service = start_service()
    ask(service, "it's")
    service.wait_for_rows()
    query = 'SELECT "entityId" AS turn FROM "AuditEvent" WHERE "entityId" = ?'
    assert service.sql(query, ["it's"]) == [{"turn": "it's"}]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        service.sql('DELETE FROM "AuditEvent"')


def test_sql_works_after_the_end_and_makes_no_file(start_service, tmp_path, program):
    service = start_service()
    ask(service, "one")
    service.wait_for_rows()
    service.kill()
    assert len(service.rows()) == 1
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        Service(tmp_path, {}, program).sql("SELECT 1")
    assert list(tmp_path.iterdir()) == []


def test_stopping_gives_the_exit_code(start_service):
    service = start_service()
    assert service.stop() == 0
    assert not service.running


def test_stopping_one_that_does_not_listen_fails_and_kills(start_service):
    service = start_service(STAND_IN="stubborn")
    with pytest.raises(AssertionError, match="did not end on signal 15"):
        service.stop(signal.SIGTERM, 0.1)
    assert gone(service.pid)


def test_a_crash_takes_its_children_along(start_service):
    service = start_service(STAND_IN="child")
    child = service.wait_for_line(type="child")["pid"]
    service.kill()
    wait(lambda: gone(child))
    assert service.process.code == -signal.SIGKILL


def test_it_starts_again_over_what_it_left(start_service):
    service = start_service()
    ask(service, "one")
    service.wait_for_rows()
    first = service.pid
    service.kill()
    service.settings["AGENT_HOST"] = "elsewhere"
    service.start()
    assert service.pid != first
    assert service.api_key == "pk-stand-in"
    assert ask(service, "two").status_code == 200
    assert len(service.wait_for_rows(2)) == 2
    assert [line["environment"].get("AGENT_HOST") for line in service.lines(type="started")] == [
        None,
        "elsewhere",
    ]


def test_it_does_not_start_twice_at_once(start_service):
    service = start_service()
    with pytest.raises(AssertionError, match="already running"):
        service.start()
    assert service.running


def test_what_was_never_said_is_an_error(start_service):
    with pytest.raises(AssertionError, match="never said 'Console'"):
        _ = start_service().console


def test_a_command_runs_in_its_place(start_service):
    service = start_service()
    done = service.cli("keys", "list", "--json", stdin="secret")
    assert json.loads(done.stdout) == {
        "arguments": ["keys", "list", "--json"],
        "stdin": "secret",
        "cwd": str(service.cwd),
    }
    assert done.returncode == 2


def test_leaving_ends_it_also_when_the_test_fails(tmp_path, program):
    with pytest.raises(ZeroDivisionError), Service(tmp_path, {}, program) as service:
        _ = 1 / 0
    assert gone(service.pid)
