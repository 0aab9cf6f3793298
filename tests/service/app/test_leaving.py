"""The time that a stop may take: who has how much of it, and that it ends."""

import threading
import time

import pytest

from service.app import leaving
from service.app.leaving import CUT_SHORT, IN_ORDER, LEAST, REST, TELEMETRY, Leave

LONG = 600.0


class End:
    """Hears that the process was ended."""

    def __init__(self):
        self.codes, self.came = [], threading.Event()

    def __call__(self, code):
        self.codes.append(code)
        self.came.set()


@pytest.fixture
def end(monkeypatch):
    monkeypatch.setattr(leaving, "REST", 0.05)
    monkeypatch.setattr(leaving, "TELEMETRY", 0.05)
    return End()


def test_before_the_end_everybody_has_all_the_time(end):
    leave = Leave(0.0, end)
    leave.settle()
    assert leave.within(2.0) == 2.0
    assert not end.came.wait(0.1)


def test_a_process_that_does_not_end_is_ended_when_the_time_is_over(end, capsys):
    began = time.monotonic()
    Leave(0.1, end).begin(at_once=False)
    assert end.came.wait(30)
    assert time.monotonic() - began >= 0.15
    assert end.codes == [CUT_SHORT]
    assert "the journal" in capsys.readouterr().err


def test_again_and_at_once_it_is_nearer(end):
    leave = Leave(LONG, end)
    leave.begin(at_once=False)
    leave.begin(at_once=False)
    assert not end.came.wait(0.1)
    leave.begin(at_once=True)
    assert end.came.wait(30)
    assert end.codes == [CUT_SHORT]


def test_what_hangs_when_all_is_written_is_cut_in_order(end, capsys):
    leave = Leave(LONG, end)
    leave.begin(at_once=False)
    leave.settle()
    assert end.came.wait(30)
    assert end.codes == [IN_ORDER]
    assert capsys.readouterr().err == ""


def test_telemetry_has_its_time_when_all_is_written_and_there_is_any():
    leave = Leave(LONG, End())
    leave.begin(at_once=False)
    leave.settle()
    assert leave.within(TELEMETRY) == TELEMETRY
    assert leave.within(LONG) < TELEMETRY + REST


def test_those_who_close_share_what_is_left():
    leave = Leave(LONG, End())
    leave.begin(at_once=False)
    assert leave.within(2.0) == 2.0
    assert leave.within(2 * LONG) <= LONG + REST
    hurried = Leave(0.0, End())
    hurried.begin(at_once=False)
    assert LEAST < hurried.within(2.0) < REST


def test_time_in_which_others_had_the_processor_is_not_counted_but_not_for_ever(end, monkeypatch, tmp_path):
    told = tmp_path / "schedstat"
    told.write_text("5 1000000 1\n")
    monkeypatch.setattr(leaving, "WAITED", told)
    monkeypatch.setattr(leaving, "MOST_LATE", 0.4)
    leave, began = Leave(0.0, end), time.monotonic()
    leave.begin(at_once=False)
    told.write_text("5 60001000000 1\n")
    assert end.came.wait(30)
    assert time.monotonic() - began >= 0.45


@pytest.mark.parametrize("said", ["", "5", "5 x 1"])
def test_where_the_system_does_not_say_nothing_is_late(monkeypatch, tmp_path, said):
    monkeypatch.setattr(leaving, "WAITED", tmp_path / "none")
    assert leaving.waited() == 0.0
    (tmp_path / "none").write_text(said)
    assert leaving.waited() == 0.0
