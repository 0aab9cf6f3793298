"""The service verifies its own log, once a day: what it finds is a metric and a line, without being asked."""

import sqlite3
from contextlib import closing

from tests.conftest import SOON
from tests.harness.chat import ask
from tests.harness.otlp import Receiver
from tests.harness.service import Service
from tests.harness.waiting import wait

CHANGED = """
DROP TRIGGER audit_checkpoint_unchanged;
DROP TRIGGER audit_event_unchanged;
UPDATE audit_event SET role = 'CEO' WHERE log_index = 0;
UPDATE audit_checkpoint SET created_at = created_at - 86400000000;
"""
"""Somebody raises a role; meanwhile a day has gone by."""


def verdicts(receiver: Receiver) -> dict[str, float]:
    """The last count of every verdict."""
    return {
        point.attributes["result"]: point.value for point in receiver.points("parley.audit.verifications")
    }


def ages(receiver: Receiver) -> list[float]:
    return [point.value for point in receiver.points("parley.audit.checkpoint_age")]


def test_a_log_that_was_changed_is_found_on_another_day(tmp_path):
    with Receiver() as receiver, Service(tmp_path, receiver.settings() | SOON) as service:
        ask(service, "Hello")
        receiver.wait(lambda: verdicts(receiver) == {"valid": 1, "invalid": 0})
        receiver.wait(lambda: any(0 <= age < 60 for age in ages(receiver)))
        assert service.lines(type="audit_invalid") == []
        assert service.stop() == 0
        with closing(sqlite3.connect(tmp_path / "var" / "parley.db")) as database:
            database.executescript(CHANGED)
        receiver.clear()
        service.start()
        ask(service, "Hello")
        line = service.wait_for_line(type="audit_invalid")
        assert (line["level"], line["finding"], line["logIndex"]) == ("ERROR", "altered", 0)
        receiver.wait(lambda: verdicts(receiver) == {"valid": 0, "invalid": 1})


def test_it_can_be_told_not_to(tmp_path):
    settings = {"AGENT_AUDIT_VERIFY_DAILY": "false"}
    with Receiver() as receiver, Service(tmp_path, receiver.settings() | SOON | settings) as service:
        ask(service, "Hello")
        wait(lambda: service.lines(type="audit_checkpoint"), seen=service.said)
        assert service.stop() == 0
        assert verdicts(receiver) == {"valid": 0, "invalid": 0}
