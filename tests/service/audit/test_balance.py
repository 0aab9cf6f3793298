"""Rows nobody knows of are said after two minutes, again while they last, and when they are found."""

import logging

import pytest

from service.audit.balance import Balance


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, logger="parley")

    def lines():
        return [
            (each.line.type, each.line.fields["name"], each.line.fields["count"]) for each in caplog.records
        ]

    return lines


class Rows:
    def __init__(self):
        self.now, self.off = 0.0, 0
        self.balance = Balance(lambda: self.off, lambda: self.now)

    def look(self, seconds):
        for _ in range(seconds):
            self.now += 1
            self.balance.look()


def test_what_is_off_for_a_moment_is_not_said(said):
    rows = Rows()
    for off in (0, 2, 0, 1, 0):
        rows.off = off
        rows.look(100)
    assert said() == []


def test_what_is_off_for_long_is_said_and_so_is_its_end(said):
    rows = Rows()
    rows.off = 2
    rows.look(130)
    assert said() == [("alert_firing", "AuditBalance", 2)]
    rows.look(300)
    assert said() == [("alert_firing", "AuditBalance", 2)] * 2
    rows.off = 0
    rows.look(10)
    assert said()[2:] == [("alert_resolved", "AuditBalance", 0)]
    rows.look(1_000)
    assert len(said()) == 3
