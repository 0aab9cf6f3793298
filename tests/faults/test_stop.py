"""An orderly stop while the database is away: rows stay in the journal, and the next start brings them."""

import pytest

from tests.faults.crowded import Crowded
from tests.faults.test_database_away import frozen, stopped
from tests.faults.verdict import judged
from tests.harness.postgres import Postgres


@pytest.fixture
def own():
    """A server that a test may stop."""
    with Postgres() as server:
        yield server


def stop_in_an_outage(lives, outage):
    process = lives.start()
    crowd = lives.gather(process)
    try:
        lives.tell_more(process, 20)
        with outage:
            lives.tell_more(process, 20, "failed")
            lives.enough.set()
            crowd.result()
            assert process.stop() == 0
            assert len(lives.folders()) == 1
    finally:
        lives.enough.set()
        lives.end(process)


@pytest.mark.parametrize("how", ["stopped", "standing still"])
def test_rows_that_a_stop_left_behind_are_there_after_the_next_start(tmp_path, own, how):
    lives = Crowded(tmp_path, own.database(), seed=1)
    stop_in_an_outage(lives, stopped(own, 2) if how == "stopped" else frozen(own))
    lives.settle()
    verdict = judged(lives)
    assert verdict.faults == []
    assert (verdict.lost, verdict.interrupted, verdict.received) == (0, 0, verdict.asked)
