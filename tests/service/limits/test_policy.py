import pytest

from service.limits.policy import Rate, admit, count_expired, peek
from telemetry.record import Decision

RATE = Rate(policy="role", limit=2, window_ms=1)
WINDOW = 1_000_000


def test_it_keeps_no_state():
    log = (5,)
    assert admit(log, 6, RATE) == admit(log, 6, RATE)
    assert admit(log, 6, RATE).remaining == 0


def test_expired_admissions_do_not_count():
    assert count_expired((0, 1, 2, 3), WINDOW + 1, RATE) == 2
    assert peek((0, 1, 2, 3), WINDOW + 2, RATE).remaining == 1


def test_waits_round_up_to_whole_milliseconds():
    denied = admit((0, 0), 1, RATE)
    assert (denied.decision, denied.retry_after_ms, denied.reset_ms) == (Decision.DENIED, 1, 1)


def test_first_of_a_window_says_a_whole_window():
    assert admit((), 0, RATE).reset_ms == 1


@pytest.mark.parametrize(("limit", "window_ms"), [(0, 1), (-5, 1), (1, 0), (1, -1)])
def test_a_rate_without_substance_is_refused(limit, window_ms):
    with pytest.raises(ValueError, match="at least 1"):
        Rate(policy="role", limit=limit, window_ms=window_ms)
