"""Spikes on a clock of the test's own: told once when there is one, and not where there is none."""

import logging
from random import Random

import pytest

from telemetry.failure import Category, Code
from telemetry.spike import SPIKES
from tests.telemetry.alarms.days import CODES, Clock, Day, alarms


@pytest.fixture(autouse=True)
def lines_are_seen(caplog):
    caplog.set_level(logging.INFO, logger="parley")


def test_every_spike_is_tried_and_every_category_has_one():
    assert set(CODES) == {spike.name for spike in SPIKES}
    assert {spike.category for spike in SPIKES} == set(Category)


@pytest.mark.parametrize("name", CODES)
async def test_an_hour_of_little_noise_then_a_burst_and_its_end(name, tmp_path, caplog):
    day, code = Day(tmp_path), CODES[name]
    await day.pass_by(85, lambda day: (day.answers(20), day.errors(code, int(day.minute()) % 10 == 0)))
    assert alarms(caplog) == []
    await day.pass_by(6, lambda day: (day.answers(20), day.errors(code, 60)))
    assert [each[:2] for each in alarms(caplog)] == [("firing", name)]
    await day.pass_by(30, lambda day: day.answers(20))
    assert [each[:2] for each in alarms(caplog)] == [("firing", name), ("resolved", name)]


async def test_a_line_says_the_numbers_and_where_to_read_on(tmp_path, caplog):
    day = Day(tmp_path)
    await day.pass_by(100, lambda day: (day.answers(20), day.errors(Code.UPSTREAM_UNREACHABLE)))
    day.errors(Code.UPSTREAM_UNREACHABLE, 40)
    await day.pass_by(2, lambda day: day.answers(20))
    (line,) = (record.line for record in caplog.records if record.line.type == "alert_firing")
    assert (line.level, line.fields) == (
        logging.WARNING,
        {
            "name": "NetworkSpike",
            "category": "network",
            "severity": "page",
            "count": 43,
            "baseline": 5.0,
            "window": "5m",
            "summary": "43 network errors in 5m, over three times the hour before.",
            "runbook": "telemetry/alerts/RUNBOOK.md#networkspike",
            "startedAt": "2025-11-24T17:41:30.000Z",
        },
    )


async def test_steady_noise_of_every_kind_is_none(tmp_path, caplog):
    random, day = Random(7), Day(tmp_path)  # noqa: S311 - not a secret

    def noise(day):
        day.answers(20)
        for code in CODES.values():
            day.errors(code, random.randint(0, 20))

    await day.pass_by(20, noise)  # what is usual is not known yet: noise that begins is a spike
    caplog.clear()
    await day.pass_by(110, noise)
    assert [each for each in alarms(caplog) if each[0] == "firing"] == []


async def test_what_callers_do_wrong_below_its_floor_is_nothing(tmp_path, caplog):
    day = Day(tmp_path)
    await day.pass_by(
        30, lambda day: (day.errors(Code.INVALID_REQUEST, 9), day.errors(Code.UNAUTHENTICATED, 3))
    )
    assert alarms(caplog) == []


@pytest.mark.parametrize("name", CODES)
async def test_the_first_error_ever_is_none(name, tmp_path, caplog):
    day = Day(tmp_path)
    await day.pass_by(30)
    day.errors(CODES[name])
    await day.pass_by(30)
    assert alarms(caplog) == []


async def test_errors_are_nothing_beside_very_many_answers(tmp_path, caplog):
    day = Day(tmp_path)
    await day.pass_by(10, lambda day: (day.answers(500), day.errors(Code.UPSTREAM_UNREACHABLE, 4)))
    assert alarms(caplog) == []


async def test_a_burst_that_is_over_within_its_wait_is_none(tmp_path, caplog):
    day = Day(tmp_path)
    day.errors(Code.UPSTREAM_ERROR, 9)
    await day.pass_by(4)
    day.errors(Code.UPSTREAM_ERROR)
    await day.pass_by(30)
    assert alarms(caplog) == []


async def test_one_that_goes_on_is_told_again_after_four_hours_and_its_end_once(tmp_path, caplog):
    day = Day(tmp_path)

    def ever_new(day):
        """As if each five minutes were the first."""
        day.sink._tally._kinds.clear()
        day.errors(Code.INTERNAL, 30)

    await day.pass_by(239, ever_new)
    assert [each[:2] for each in alarms(caplog)] == [("firing", "UnknownSpike")]
    await day.pass_by(4, ever_new)
    assert [each[:2] for each in alarms(caplog)] == [("firing", "UnknownSpike")] * 2
    await day.pass_by(30)
    assert [each[0] for each in alarms(caplog)] == ["firing", "firing", "resolved"]


async def test_a_restart_tells_nothing_again_and_its_end_once(tmp_path, caplog):
    day = Day(tmp_path)
    await day.pass_by(3, lambda day: day.errors(Code.INTERNAL, 30))
    assert [each[:2] for each in alarms(caplog)] == [("firing", "UnknownSpike")]
    await day.sink.stop()
    again = Day(tmp_path, Clock(day.clock.now + 30))
    await again.pass_by(3, lambda day: day.errors(Code.INTERNAL, 30))
    assert [each[:2] for each in alarms(caplog)] == [("firing", "UnknownSpike")]
    await again.pass_by(20)
    assert [each[:2] for each in alarms(caplog)] == [("firing", "UnknownSpike"), ("resolved", "UnknownSpike")]


async def test_a_restart_remembers_what_is_usual(tmp_path, caplog):
    day = Day(tmp_path)
    await day.pass_by(90, lambda day: (day.answers(5), day.errors(Code.UPSTREAM_ERROR, 1)))
    await day.sink.stop()
    again = Day(tmp_path, day.clock)
    await again.pass_by(10, lambda day: (day.answers(5), day.errors(Code.UPSTREAM_ERROR, 2)))
    assert alarms(caplog) == []


async def test_several_processes_count_together_and_one_tells(tmp_path, caplog):
    clock = Clock()
    days = [Day(tmp_path, clock) for _ in range(3)]
    for _ in range(8):
        clock.now += 60
        for day in days:
            day.errors(Code.UPSTREAM_ERROR, 1)
            await day.sink.look()
    assert [each[:2] for each in alarms(caplog)] == [("firing", "AgentServiceSpike")]


async def test_who_leads_may_end_and_another_goes_on(tmp_path, caplog):
    clock = Clock()
    first, second = Day(tmp_path, clock), Day(tmp_path, clock)
    await first.pass_by(3, lambda day: day.errors(Code.INTERNAL, 30))
    await second.pass_by(0.5)
    await first.sink.stop()
    await second.pass_by(30)
    assert [each[:2] for each in alarms(caplog)] == [("firing", "UnknownSpike"), ("resolved", "UnknownSpike")]


async def test_a_folder_that_cannot_be_used_is_said_once_and_each_tells_for_itself(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    day = Day(tmp_path / "file")
    await day.pass_by(4, lambda day: day.errors(Code.INTERNAL, 30))
    assert [each[:2] for each in alarms(caplog)] == [("firing", "UnknownSpike")]
    said = [each.line.fields for each in caplog.records if each.line.type == "sink_failed"]
    assert [(each["sink"], each["verb"]) for each in said] == [("alerts", "look")]


async def test_what_is_too_old_is_let_go(tmp_path):
    day = Day(tmp_path)
    await day.pass_by(200, lambda day: (day.answers(1), day.errors(Code.INTERNAL, 1)))
    kinds = day.sink._tally.counted().kinds
    assert all(len(slices) <= 71 for slices in kinds.values())
    others = [Day(tmp_path, day.clock) for _ in range(3)]
    for other in others:
        await other.sink.look()
    day.clock.now += 3 * 3_600
    await day.sink.look()
    assert len(list((tmp_path / "alerts").glob("*.json"))) == 2
