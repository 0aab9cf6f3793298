"""Steady traffic with all faults at random, for a short time; `make soak` goes on as long as one likes."""

from tests.conftest import TOLD
from tests.faults.soak import run, table

SEED, SECONDS = 1, 10.0


def test_every_request_is_accounted_for_and_nothing_grows(tmp_path, record_property):
    told = run(tmp_path, SEED, SECONDS, "sqlite")
    record_property(TOLD, table([told]))
    assert told.faults == []
    account = told.account
    assert account.rows == account.spans == account.counted or account.unsent
    assert account.rows >= 50
    assert {"answered", "client_gone", "failed", "refused"} <= account.outcomes.keys()
    assert account.replayed
    assert told.met.keys() == {"clear", "late", "drip", "half", "reset", "dark"}
    assert told.outages
