"""One suite for every sink: ours, those a third party installed beside us, and the double we ship."""

import inspect
import logging
from importlib.metadata import entry_points

import pytest

from config.settings import Audit, Settings
from service.audit.sink import AuditSink, Equipment
from telemetry import names
from telemetry.failure import Code
from telemetry.record import Ending, Outcome
from telemetry.sink import GROUP, guard, load
from telemetry.testing import MemorySink
from tests.harness.records import an_opening, answered, failed, refused
from tests.harness.sdk import Counted
from tests.service.audit.stores import Store

INSTALLED = sorted({point.name for point in entry_points(group=GROUP)})
SHIPPED = ["memory"]


@pytest.fixture(params=[*INSTALLED, *SHIPPED])
def sink(request, tmp_path):
    settings = Settings(audit=Audit(journal_dir=str(tmp_path / "journal")))
    made = MemorySink() if request.param in SHIPPED else load([request.param])[request.param](settings)
    if isinstance(made, AuditSink):  # the one sink that the application hands something
        made.equipment = Equipment(rows=Store(), keys=(b"k" * 32,), tell=lambda _: None)
    return made


@pytest.fixture(autouse=True)
def quiet():
    """The log sink writes; nobody needs to read it here."""
    ours = logging.getLogger(names.SCOPE)
    kept = ours.handlers[:], ours.propagate, ours.level
    ours.handlers[:], ours.propagate = [logging.NullHandler()], False
    ours.setLevel(logging.DEBUG)
    yield
    ours.handlers[:], ours.propagate = kept[:2]
    ours.setLevel(kept[2])


RECORDS = {
    "answered": answered,
    "client_gone": lambda: answered(ending=Ending(Outcome.CLIENT_GONE)),
    "failed": failed,
    "timed_out": lambda: failed(Code.TURN_TIMEOUT, Outcome.TIMED_OUT),
    "shutdown": lambda: failed(Code.SHUTTING_DOWN, Outcome.SHUTDOWN),
    "refused": refused,
    "unauthenticated": lambda: refused(
        Code.UNAUTHENTICATED, opening=an_opening(caller=None, rate_limit=None)
    ),
    "nothing known": lambda: refused(
        Code.INVALID_REQUEST,
        opening=an_opening(caller=None, conversation_id=None, model=None, query=None, rate_limit=None),
    ),
}


def test_ours_are_installed():
    assert set(INSTALLED) >= {"audit", "logs", "metrics"}


def test_its_verbs_are_plain_calls_and_its_frame_is_not(sink):
    for verb in (sink.opened, sink.closed):
        assert not inspect.iscoroutinefunction(verb)
        assert len(inspect.signature(verb).parameters) == 1
    for verb in (sink.start, sink.stop):
        assert inspect.iscoroutinefunction(verb)


@pytest.mark.parametrize("kind", RECORDS)
async def test_it_takes_a_turn_that_was_opened(sink, kind):
    record = RECORDS[kind]()
    await sink.start()
    assert sink.opened(record.opening) is None
    assert sink.closed(record) is None
    await sink.stop()


@pytest.mark.parametrize("kind", RECORDS)
async def test_it_takes_a_turn_that_never_opened(sink, kind):
    await sink.start()
    assert sink.closed(RECORDS[kind]()) is None
    await sink.stop()


async def test_it_takes_many_turns_at_once_that_end_in_another_order(sink):
    await sink.start()
    records = [answered(opening=an_opening()) for _ in range(50)]
    for record in records:
        sink.opened(record.opening)
    for record in reversed(records):
        sink.closed(record)
    await sink.stop()


async def test_it_takes_an_opening_that_never_closes(sink):
    await sink.start()
    sink.opened(an_opening())
    await sink.stop()


async def test_it_starts_and_stops_without_a_turn(sink):
    await sink.start()
    await sink.stop()


async def test_it_starts_again_after_a_stop(sink):
    for _ in range(2):
        await sink.start()
        sink.closed(answered())
        await sink.stop()


async def test_it_takes_odd_text(sink):
    odd = "\x00\x1b[31m\u2028\ud800\n" * 50
    await sink.start()
    sink.closed(answered(opening=an_opening(query=odd, client_request_id=odd)))
    await sink.stop()


async def test_nothing_of_it_is_a_failure(sink):
    failures = Counted(names.SINK_FAILURES)
    (guarded,) = guard([("it", sink)])
    await sink.start()
    for build in RECORDS.values():
        record = build()
        guarded.opened(record.opening)
        guarded.closed(record)
    await sink.stop()
    assert failures() == 0
