"""Spikes by the log are those that the alarm tells, held against the alarm itself turn by turn."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.store.pulse import Sliced
from service.web.operations.slices import Slices
from telemetry.alarms.durations import Durations
from telemetry.alarms.tally import Tally
from telemetry.alarms.watch import Watch
from telemetry.failure import Code, Failure
from telemetry.record import Ending, Outcome, TurnOpening, TurnRecord

BEGIN = 1_800_000_000
HOURS = 3
TICK = 10
CODES = (Code.UPSTREAM_ERROR, Code.INTERNAL, Code.RATE_LIMITED, Code.UNAUTHENTICATED)
OPENING = TurnOpening(turn_id="t", trace_id="a", span_id="b", opened_at=1, route="r")


def turn(code):
    failure = Failure(code=code) if code else None
    outcome = Outcome.FAILED if code else Outcome.ANSWERED
    return TurnRecord(opening=OPENING, seconds=0.1, ending=Ending(outcome, failure))


def by_alarm(turns):
    """What the alarm tells, looking at the end of each slice: name, begin, end."""
    now = [float(BEGIN)]
    durations = Durations()
    tally, watch = Tally(durations, lambda: now[0]), Watch(durations)
    told = {}
    for at in range(HOURS * 3_600 // TICK):
        now[0] = BEGIN + at * TICK + 1.0
        for code, number in turns.get(at, ()):
            for _ in range(number):
                tally.add(turn(code))
        now[0] = BEGIN + (at + 1) * TICK - 0.001
        for notice in watch.look([tally.counted()], (), now[0]):
            told[notice.alarm.name, round(notice.started)] = notice.ended and round(notice.ended)
    return told


def by_log(turns):
    slices = Slices()
    for at, found in turns.items():
        for code, number in found:
            slices.add(Sliced(BEGIN // TICK + at, code and code.value, code is None, number))
    end = BEGIN + HOURS * 3_600 - 0.001
    peaks = slices.peaks((BEGIN, end), BEGIN)
    return {(peak.spike.name, round(peak.started)): peak.ended and round(peak.ended) for peak in peaks}


BURSTS = st.dictionaries(
    st.integers(0, HOURS * 3_600 // TICK - 1),
    st.lists(st.tuples(st.sampled_from((None, *CODES)), st.integers(1, 60)), max_size=2),
    max_size=25,
)


@given(BURSTS)
@settings(max_examples=40)
def test_the_same_rule_and_the_same_verdict(turns):
    assert by_log(turns) == by_alarm(turns)


def test_a_burst_is_a_spike_from_a_minute_on_until_it_is_over():
    turns = {10: [(Code.UPSTREAM_ERROR, 14)]}
    (((name, started), ended),) = by_log(turns).items()
    assert name == "AgentServiceSpike"
    assert started - BEGIN == pytest.approx(10 * TICK + TICK + 60, abs=1)
    assert ended - started > 240
    assert by_alarm(turns) == by_log(turns)


def test_what_goes_on_has_no_end_and_few_errors_are_no_spike():
    last = HOURS * 3_600 // TICK
    assert list(by_log({at: [(Code.INTERNAL, 2)] for at in range(last - 20, last)}).values()) == [None]
    assert by_log({5: [(Code.INTERNAL, 4)]}) == {}


def test_a_code_that_nobody_knows_any_more_is_in_no_category():
    slices = Slices()
    slices.add(Sliced(BEGIN // TICK, "gone", answered=False, turns=99))
    assert slices.first is None
    assert slices.peaks((BEGIN, BEGIN + 600), BEGIN) == []


def test_old_slices_are_let_go():
    slices = Slices()
    for at in range(4):
        slices.add(Sliced(at, None, answered=True, turns=1))
    slices.forget(2)
    assert slices.first == 2
