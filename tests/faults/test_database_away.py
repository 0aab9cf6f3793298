"""The database goes away under callers and comes back: what they were told is one row each, afterwards."""

import signal
import sqlite3
from contextlib import closing, contextmanager

import pytest

from tests.conftest import SOON
from tests.faults.crowded import Crowded
from tests.faults.lives import Lives, up
from tests.faults.proxy import Mode, Proxy
from tests.faults.verdict import judged
from tests.harness.otlp import Receiver
from tests.harness.postgres import Postgres
from tests.harness.waiting import PATIENCE, wait

SEED = 1
ENOUGH = 30
"""Answers during an outage."""


@pytest.fixture
def own():
    """A server that a test may stop."""
    with Postgres() as server:
        yield server


@contextmanager
def stopped(server, number):
    server.stop(number)
    yield
    server.start()


@contextmanager
def frozen(server):
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@contextmanager
def locked(path):
    with closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


def newest(receiver, name):
    """The latest value of a gauge; None before any came."""
    points = receiver.points(name)
    return points[-1].value if points else None


def walk_through(lives, outage):
    """Callers ask before, during and after an outage, and are answered; then it is judged."""
    with Receiver() as receiver:
        process = lives.start(**receiver.settings(), **SOON)
        crowd = lives.gather(process)
        try:
            lives.tell_more(process, ENOUGH)
            with outage:
                lives.tell_more(process, ENOUGH)
                receiver.wait(lambda: (newest(receiver, "parley.audit.journaled") or 0) >= ENOUGH)
            lives.tell_more(process, ENOUGH)
            lives.enough.set()
            crowd.result()
            receiver.wait(lambda: newest(receiver, "parley.audit.journaled") == 0, PATIENCE * 2)
            receiver.wait(lambda: newest(receiver, "parley.audit.balance") == 0)
            assert process.stop() == 0, process.said()
        finally:
            lives.enough.set()
            lives.end(process)
    assert not lives.folders()
    return judged(lives)


def is_whole(verdict):
    assert verdict.faults == []
    assert (verdict.lost, verdict.doubled, verdict.strangers, verdict.unsaid) == (0, 0, 0, 0)
    assert (verdict.interrupted, verdict.received) == (0, verdict.asked)
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_a_server_that_is_away(tmp_path, own, number):
    assert is_whole(walk_through(Crowded(tmp_path, own.database(), SEED), stopped(own, number)))


def test_a_server_that_stands_still(tmp_path, own):
    assert is_whole(walk_through(Crowded(tmp_path, own.database(), SEED), frozen(own)))


def test_a_file_that_another_program_locks(tmp_path):
    path = tmp_path / "var" / "parley.db"
    assert is_whole(walk_through(Crowded(tmp_path, f"sqlite:///{path}", SEED), locked(path)))


def test_a_server_that_refuses_and_commits_whose_answers_are_lost(tmp_path, postgres):
    url = postgres.database()
    with Proxy(postgres.port) as proxy:
        lives = Lives(tmp_path, url, SEED, DATABASE_URL=proxy.through(url))
        process = lives.start()
        try:
            up(process)
            proxy.mode = Mode.LOSE_COMMITS
            wait(lambda: proxy.lost >= 3, seen=process.said)
            proxy.mode = Mode.REFUSE
            before = len(process.stderr)
            wait(lambda: len(process.stderr) > before + 10 * ENOUGH, seen=process.said)
            proxy.mode = Mode.PASS
            assert process.stop() == 0
        finally:
            lives.end(process)
        lives.settle()
    verdict = judged(lives)
    assert verdict.faults == []
    assert (verdict.lost, verdict.doubled, verdict.strangers) == (0, 0, 0)
