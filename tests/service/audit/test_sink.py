import asyncio
import logging

import pytest

from config.settings import Settings
from service.audit.sink import BATCH, AuditSink
from telemetry import names
from tests.harness.records import an_opening, answered
from tests.harness.sdk import Counted
from tests.service.audit.stores import Store

FOR_EVER = 10**9


def turns(sink: AuditSink, number: int) -> list[str]:
    records = [answered(opening=an_opening()) for _ in range(number)]
    for record in records:
        sink.closed(record)
    return [record.opening.turn_id for record in records]


async def until(condition) -> None:
    """Let the loop run until it is so."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never was so")


def lost() -> Counted:
    return Counted(names.SINK_FAILURES, sink="audit")


async def test_every_turn_is_a_row_in_the_order_they_closed(make, store):
    begun, committed, sink = Counted(names.AUDIT_BEGUN), Counted(names.AUDIT_COMMITTED), make(store)
    await sink.start()
    ids = turns(sink, 3)
    await until(lambda: store.ids == ids)
    more = turns(sink, 2)
    await sink.stop()
    assert store.ids == ids + more
    assert (begun(), committed()) == (5, 5)


async def test_a_turn_closed_before_the_start_is_a_row_too(make, store):
    sink = make(store)
    ids = turns(sink, 1)
    await sink.start()
    await until(lambda: store.ids == ids)
    await sink.stop()


async def test_an_opening_alone_is_no_row_yet(make, store):
    sink = make(store)
    await sink.start()
    sink.opened(an_opening())
    await sink.stop()
    assert store.calls == 0


async def test_a_slow_store_holds_up_nobody(make, store):
    store.open.clear()
    sink = make(store)
    await sink.start()
    ids = turns(sink, 1)
    await until(lambda: store.calls == 1)
    ids += turns(sink, 100)  # no await: closed() comes back though the store is in the middle of a commit
    assert store.batches == []
    store.open.set()
    await sink.stop()
    assert store.ids == ids


async def test_batches_are_bounded(make, store):
    store.open.clear()
    sink = make(store)
    await sink.start()
    turns(sink, 2 * BATCH + 1)
    store.open.set()
    await sink.stop()
    assert [len(batch) for batch in store.batches] == [BATCH, BATCH, 1]


async def test_a_store_that_recovers_has_each_row_once_in_order(make, store):
    committed, failures = Counted(names.AUDIT_COMMITTED), lost()
    store.failures = 3
    sink = make(store)
    await sink.start()
    ids = turns(sink, 3)
    await until(lambda: store.failures == 1)
    ids += turns(sink, 2)
    await until(lambda: len(store.ids) == 5)
    await sink.stop()
    assert store.ids == ids
    assert (committed(), failures()) == (5, 3)


async def test_a_row_told_twice_is_written_once(make, store):
    store.open.clear()
    sink, record = make(store), answered(opening=an_opening())
    sink.closed(record)
    sink.closed(record)
    await sink.start()
    store.open.set()
    await sink.stop()
    assert store.ids == [record.opening.turn_id]


async def test_whatever_a_store_raises_the_rows_stay(make, store):
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    kept = store.append

    async def raising(_) -> None:
        store.append = kept
        raise Odd

    store.append = raising
    sink = make(store)
    await sink.start()
    ids = turns(sink, 1)
    await sink.stop()
    assert store.ids == ids


async def test_a_failing_store_is_told_of_each_time(make, store, caplog):
    store.failures = 2
    sink = make(store)
    await sink.start()
    turns(sink, 2)
    await sink.stop()
    told = [record.line.fields for record in caplog.records]
    assert [line["verb"] for line in told] == ["append", "append"]
    assert [line["waiting"] for line in told] == [2, 2]
    assert told[0]["error"] == "DatabaseError: The database is away."


async def test_stopping_writes_the_rows_that_wait(make, store):
    store.failures = 1
    sink = make(store)
    await sink.start()
    ids = turns(sink, 5)
    await sink.stop()
    assert store.ids == ids


async def test_stopping_does_not_wait_out_a_long_pause(make, store):
    store.failures = 1
    sink = make(store, pauses=(FOR_EVER,))
    await sink.start()
    ids = turns(sink, 1)
    await until(lambda: store.calls == 1)
    await asyncio.sleep(0)  # it pauses now, for ever
    await sink.stop()
    assert store.ids == ids


async def test_a_stop_that_is_cut_short_counts_what_is_lost(make, store, caplog):
    failures = lost()
    store.open.clear()
    sink = make(store)
    await sink.start()
    turns(sink, 3)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await sink.stop()
    assert failures() == 3
    (record,) = caplog.records
    assert (record.line.fields["verb"], record.line.fields["waiting"]) == ("stop", 3)


async def test_a_stop_against_a_failing_store_is_cut_short_too(make, store):
    failures = lost()
    store.failures = FOR_EVER
    sink = make(store)
    await sink.start()
    turns(sink, 3)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await sink.stop()
    assert failures() == store.calls + 3


async def test_the_oldest_row_beyond_the_capacity_is_dropped_and_counted(make, store):
    failures, begun = lost(), Counted(names.AUDIT_BEGUN)
    sink = make(store, capacity=3)
    ids = turns(sink, 5)
    await sink.start()
    await sink.stop()
    assert store.ids == ids[2:]
    assert (failures(), begun()) == (2, 5)


async def test_an_overflow_during_a_commit_doubles_nothing(make, store):
    store.open.clear()
    sink = make(store, capacity=3)
    await sink.start()
    ids = turns(sink, 3)
    await until(lambda: store.calls == 1)
    ids += turns(sink, 2)
    store.open.set()
    await sink.stop()
    assert store.ids == ids


async def test_it_stops_though_it_never_started(make, store):
    failures, sink = lost(), make(store)
    turns(sink, 2)
    await sink.stop()
    assert (store.calls, failures()) == (0, 2)


async def test_it_does_not_start_without_a_store():
    with pytest.raises(RuntimeError, match="no store"):
        await AuditSink(Settings()).start()


def test_it_starts_again_in_another_loop(make):
    sink, written = make(None), []

    async def once() -> None:
        store = Store()
        sink.rows = store
        await sink.start()
        ids = turns(sink, 2)
        await until(lambda: store.ids == ids)
        await sink.stop()
        written.extend(store.ids)

    for _ in range(2):
        asyncio.run(once())
    assert len(set(written)) == 4


@pytest.mark.parametrize("places", [(0,), (6,), (2, 3), tuple(range(7))])
async def test_a_row_that_is_refused_is_put_aside_and_holds_up_no_other(make, store, caplog, places):
    committed, failures, sink = Counted(names.AUDIT_COMMITTED), lost(), make(store)
    ids = turns(sink, 7)
    store.poison = {ids[place] for place in places}
    await sink.start()
    await until(lambda: not sink._waiting)
    calls = store.calls
    ids += turns(sink, 1)
    await sink.stop()
    assert store.ids == [each for each in ids if each not in store.poison]
    assert store.calls == calls + 1  # what was put aside is not tried again
    assert (committed(), failures()) == (8 - len(places), len(places))
    told = [(record.levelno, record.line.fields["id"]) for record in caplog.records]
    assert told == [(logging.ERROR, ids[place]) for place in places]


async def test_a_database_that_goes_away_while_a_row_is_looked_for_costs_no_row(make, store):
    sink = make(store)
    ids = turns(sink, 4)
    store.poison = {ids[2]}
    refusing, calls = store.append, []

    async def append(rows) -> None:
        calls.append(len(rows))
        if len(calls) == 3:
            raise OSError("away")
        await refusing(rows)

    store.append = append
    await sink.start()
    await sink.stop()
    assert store.ids == [ids[0], ids[1], ids[3]]
    assert calls == [4, 2, 2, 2, 1, 1]
