"""Processes are killed at any moment, and nothing is lost: every turn one row, no row nobody asked for."""

import secrets
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.faults.campaign import Round, run

ROUNDS = {
    "lean-sqlite": Round(program="lean", database="sqlite", lives=28),
    "lean-postgres": Round(program="lean", database="postgres", lives=28, at_once=2),
    "full-sqlite": Round(program="full", database="sqlite", lives=6),
    "full-postgres": Round(program="full", database="postgres", lives=6),
    "money-sqlite": Round(program="money", database="sqlite", lives=6),
    "money-postgres": Round(program="money", database="postgres", lives=6, at_once=2),
}


@pytest.fixture(scope="module")
def verdicts(postgres):
    """All rounds at once: each waits for starts most of its time."""
    with ThreadPoolExecutor(max_workers=len(ROUNDS)) as threads:
        yield {name: threads.submit(started, plan, postgres) for name, plan in ROUNDS.items()}


def started(plan, postgres):
    return run(plan, secrets.randbits(32), postgres if plan.database == "postgres" else None)


@pytest.mark.parametrize("name", ROUNDS)
def test_every_turn_that_was_heard_of_is_one_row(verdicts: dict[str, Future], name: str):
    verdict = verdicts[name].result()
    assert (verdict.lost, verdict.doubled, verdict.strangers) == (0, 0, 0)
    assert sum(verdict.kills.values()) == ROUNDS[name].lives
    assert verdict.received > 0


def test_some_turns_were_killed_at_work(verdicts: dict[str, Future]):
    """In the rounds of many lives: in a few, chance may kill nobody at work."""
    for name in ("lean-sqlite", "lean-postgres"):
        assert verdicts[name].result().interrupted > 0
