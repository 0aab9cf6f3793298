"""Settling: in time, or in the background until it is done, and never in the answer's way."""

import asyncio

import pytest

from service.agent import hold
from service.agent.hold import Answer, Settlement
from service.errors import DatabaseAway, DatabaseError, RowRefused
from telemetry import log, names
from tests.harness.agent import FakeClaim
from tests.harness.records import answered
from tests.harness.sdk import Counted


class Stubborn(FakeClaim):
    """A hold that fails as often as it has errors left, then is settled; `wait` holds it up."""

    def __init__(self, *errors, wait=None):
        super().__init__()
        self.errors, self.wait = list(errors), wait
        self.done = asyncio.Event()

    async def settle(self, answer):
        await super().settle(answer)
        if self.wait:
            await self.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.done.set()


@pytest.fixture
def lines(monkeypatch):
    said = []
    monkeypatch.setattr(log, "say", lambda kind, _, **fields: said.append((kind, fields)))
    return said


def impatient(monkeypatch):
    monkeypatch.setattr(hold, "PATIENCE", 0.01)


async def test_what_settles_in_time_is_settled_when_it_returns(lines):
    holds = [Stubborn(), Stubborn()]
    await Settlement().settle(holds, None)
    assert [(each.settled, each.abandoned) for each in holds] == [([None], 1)] * 2
    assert lines == []


async def test_nothing_to_settle_is_nothing():
    settlement = Settlement()
    await settlement.settle([], None)
    await settlement.stop()


async def test_a_slow_one_goes_on_in_the_background(monkeypatch, lines):
    impatient(monkeypatch)
    go_on = asyncio.Event()
    slow, settlement = Stubborn(wait=go_on.wait), Settlement()
    await settlement.settle([slow], None)
    assert (slow.done.is_set(), slow.abandoned) == (False, 0)
    go_on.set()
    await settlement.stop()
    assert (slow.done.is_set(), slow.abandoned, lines) == (True, 1, [])


async def test_a_database_that_is_away_is_tried_again_and_told_once(lines):
    stubborn = Stubborn(DatabaseError("away"), DatabaseError("away"))
    settlement = Settlement(pauses=(0.0,))
    await settlement.settle([stubborn], None)
    assert (len(stubborn.settled), stubborn.done.is_set(), stubborn.abandoned) == (3, True, 1)
    assert lines == [("settle_failed", {"hold": "claim", "error": "DatabaseError: away", "again": True})]


async def test_any_other_error_is_told_and_not_tried_again(lines):
    broken = Stubborn(TypeError("boom"))
    await Settlement(pauses=(0.0,)).settle([broken], None)
    assert (len(broken.settled), broken.abandoned) == (1, 1)
    assert lines == [("settle_failed", {"hold": "claim", "error": "TypeError: boom", "again": False})]


async def test_beyond_the_capacity_there_is_one_attempt(monkeypatch, lines):
    impatient(monkeypatch)
    settlement = Settlement(pauses=(60.0,), capacity=1)
    waiting = Stubborn(DatabaseError("away"))
    await settlement.settle([waiting], None)
    one_too_many = Stubborn(DatabaseError("away"))
    await settlement.settle([one_too_many], None)
    assert (waiting.abandoned, one_too_many.abandoned) == (0, 1)
    assert [fields["again"] for _, fields in lines] == [True, False]
    monkeypatch.setattr(hold, "STOP_SECONDS", 0.0)
    await settlement.stop()


async def test_a_stop_does_not_wait_for_ever_and_says_what_it_left(monkeypatch, lines):
    impatient(monkeypatch)
    monkeypatch.setattr(hold, "STOP_SECONDS", 0.01)
    lost, settlement = Stubborn(wait=asyncio.Event().wait), Settlement()
    await settlement.settle([lost], None)
    await settlement.stop()
    await settlement.stop()
    assert lost.abandoned == 1
    assert [(fields["hold"], fields["again"]) for _, fields in lines] == [("claim", False)]


async def test_a_cancelled_wait_does_not_cancel_the_settling(lines):
    started, go_on = asyncio.Event(), asyncio.Event()

    async def wait():
        started.set()
        await go_on.wait()

    slow, settlement = Stubborn(wait=wait), Settlement()
    waiting = asyncio.create_task(settlement.settle([slow], None))
    await started.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go_on.set()
    await settlement.stop()
    assert (slow.done.is_set(), lines) == (True, [])


LEFT = "the service stopped before 3 were written"


def away(number=1):
    return [DatabaseAway("away") for _ in range(number)]


async def test_nobody_waits_for_a_database_that_is_known_to_be_away(monkeypatch, lines):
    monkeypatch.setattr(hold, "PATIENCE", 3_600.0)
    settlement = Settlement(pauses=(60.0,))
    late = [Stubborn(*away()) for _ in range(3)]
    await settlement.settle(late, None)
    assert ([each.done.is_set() for each in late], settlement.waiting) == ([False] * 3, 3)
    assert lines == [("settle_failed", {"hold": "claim", "error": "DatabaseAway: away", "again": True})]
    monkeypatch.setattr(hold, "STOP_SECONDS", 0.0)
    await settlement.stop()
    assert settlement.waiting == 0
    assert lines[1:] == [
        (
            "settle_failed",
            {"hold": "claim", "error": LEFT, "again": False},
        ),
    ]


@pytest.mark.usefixtures("lines")
async def test_what_waited_is_written_once_when_it_is_back():
    settlement = Settlement(pauses=(0.0,))
    late = [Stubborn(*away(4)) for _ in range(50)]
    for each in late:
        await settlement.settle([each], None)
    await settlement.stop()
    assert [(len(each.settled), each.abandoned) for each in late] == [(5, 1)] * 50
    assert settlement.waiting == 0


async def test_what_is_dropped_is_counted_and_told_once(monkeypatch, lines):
    dropped = Counted(names.SINK_FAILURES, sink="claim")
    settlement = Settlement(pauses=(60.0,), capacity=2)
    for _ in range(5):
        await settlement.settle([Stubborn(*away())], None)
    assert (dropped(), settlement.waiting) == (3, 2)
    assert [(fields["again"], fields["error"]) for _, fields in lines] == [
        (True, "DatabaseAway: away"),
        (False, "DatabaseAway: away 2 wait already."),
    ]
    monkeypatch.setattr(hold, "STOP_SECONDS", 0.0)
    await settlement.stop()


@pytest.mark.usefixtures("lines")
async def test_long_answers_are_bounded_by_their_length(monkeypatch):
    monkeypatch.setattr(hold, "STOP_SECONDS", 0.0)
    settlement = Settlement(pauses=(60.0,), room=1_000)
    answer = Answer(record=answered(), messages=[{"role": "user", "content": "x" * 400}], text="")
    for _ in range(5):
        await settlement.settle([Stubborn(*away())], answer)
    assert settlement.waiting == 2
    await settlement.stop()
    await settlement.settle([late := Stubborn(*away())], answer)
    assert (late.abandoned, settlement.waiting) == (0, 1)
    await settlement.stop()


async def test_what_the_database_will_never_take_is_not_tried_again(lines):
    unfit = Stubborn(RowRefused("no"))
    settlement = Settlement(pauses=(0.0,))
    await settlement.settle([unfit], None)
    assert (len(unfit.settled), unfit.abandoned, settlement.waiting) == (1, 1, 0)
    assert [fields["again"] for _, fields in lines] == [False]
