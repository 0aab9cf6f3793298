"""Limits that processes share while their Redis goes through everything: the short profile."""

import sys
from pathlib import Path

import pytest

from tests.faults.limits_redis import FAULTS, run
from tests.faults.windows import LAYOUT, Decision, read, steady, worst, worst_of_a_life

MS = 1_000_000


def decided(
    asked: int,
    told: int,
    *,
    at: int = 0,
    life: int = 1,
    subject: int = 1,
    admitted: bool = True,
    alone: bool = False,
) -> Decision:
    return Decision(asked * MS, told * MS, at, life, subject, admitted, alone)


@pytest.mark.parametrize(
    ("on_loss", "faults"), [("share", FAULTS), ("strict", ("kill", "freeze", "flush", "full"))]
)
def test_windows_hold_while_redis_is_lost_and_found(on_loss, faults):
    report = run(on_loss, 20, faults, seconds=1.0, calm=2)
    sys.stdout.write(f"{report}\n")
    assert not list(report.faults), report
    assert report.decisions > 1_000
    assert report.worst >= report.worst_of_a_life > report.limit // 2


def test_a_window_is_what_certainly_fell_within_it():
    spans = [(0, 10), (5, 15), (90, 99), (95, 101), (100, 100)]
    assert worst([decided(*span) for span in spans], 100) == 4
    assert worst([decided(*span) for span in spans if span != (95, 101)], 100) == 3
    assert worst([decided(0, 1, admitted=False)], 100) == 0
    assert worst([decided(0, 1, subject=1), decided(0, 1, subject=2)], 100) == 1


def test_one_memory_is_judged_by_its_own_clock():
    times = [0, 99_999, 100_000, 100_001]
    rows = [decided(0, 0, at=at) for at in times]
    assert worst_of_a_life(rows, 100) == 3
    assert worst_of_a_life([row._replace(life=number) for number, row in enumerate(rows)], 100) == 1
    assert worst_of_a_life([row._replace(alone=True) for row in rows], 100) == 0


def test_steady_is_an_average_by_window():
    rows = [decided(at, at, subject=0) for at in range(0, 1_000, 10)]
    assert steady(rows, 0, 100, (0, 500 * MS)) == 10


def test_a_log_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path: Path):
    row = (1, 2, 3, 4, 5, True, False)
    (tmp_path / "log").write_bytes(LAYOUT.pack(*row) * 2 + b"\x01")
    assert read([tmp_path / "log"]) == [Decision(*row)] * 2
