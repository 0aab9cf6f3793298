import asyncio
import logging

import pytest

from config.settings import Settings
from service.audit.drain import BATCH
from service.audit.sink import AuditSink
from service.errors import AuditUnwritable, JournalError
from telemetry import names
from telemetry.failure import Code
from telemetry.record import Outcome
from tests.harness.records import an_opening, answered, refused
from tests.harness.sdk import Counted

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
    assert sink.book.ledger.balance == 0


async def test_a_turn_closed_before_the_start_is_a_row_too(make, store):
    sink = make(store)
    ids = turns(sink, 1)
    await sink.start()
    await until(lambda: store.ids == ids)
    await sink.stop()


async def test_rows_are_numbered_by_their_journal_without_a_gap(make, store):
    sink = make(store)
    await sink.start()
    opening = an_opening()
    sink.opened(opening)
    ids = turns(sink, 2)
    sink.closed(answered(opening=opening))
    await sink.stop()
    numbered = [(row.writer_seq, row.writer_low) for row in store.rows.values()]
    assert [*store.rows] == [*ids, opening.turn_id]
    assert numbered == [(2, 1), (3, 1), (1, 4)]
    assert len({row.writer for row in store.rows.values()}) == 1


async def test_what_is_open_waits_and_is_in_the_balance(make, store):
    sink = make(store)
    await sink.start()
    sink.opened(an_opening())
    assert (sink.book.waiting().rows, sink.book.ledger.balance) == (1, 0)
    await sink.stop()
    assert store.calls == 0


async def test_a_turn_whose_process_died_is_told_and_a_row_once(make, store, told):
    dead, opening = make(store), an_opening()
    await dead.start()
    dead.opened(opening)
    ids = turns(dead, 2)
    await until(lambda: store.ids == ids)
    await dead.stop()  # its journal stays: the turn is open
    for _ in range(2):
        heir = make(store)
        await heir.start()
        await until(lambda: opening.turn_id in store.rows)
        await heir.stop()
        assert heir.book.ledger.balance == 0
    row = store.rows[opening.turn_id]
    assert (row.outcome, row.code, row.query) == ("interrupted", "shutting_down", opening.query)
    assert (row.writer_seq, row.writer_low) == (1, 4)
    assert [(record.opening, record.outcome) for record in told] == [(opening, Outcome.INTERRUPTED)]


async def test_rows_that_the_database_did_not_take_come_with_the_next_start(make, store, folder):
    store.failures = FOR_EVER
    dead = make(store)
    await dead.start()
    ids = turns(dead, 700)
    await dead.stop()
    store.failures = 0
    heir = make(store)
    await heir.start()
    await until(lambda: len(store.ids) == 700)
    await heir.stop()
    assert store.ids == ids
    assert [*folder.iterdir()] == []


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
    told = [record.line.fields for record in caplog.records if record.line.type == names.SINK_FAILED]
    assert [line["verb"] for line in told] == ["append", "append"]
    assert [line["waiting"] for line in told] == [2, 2]
    assert told[0]["error"] == "DatabaseError: The database is away."


async def test_stopping_does_not_wait_out_a_long_pause(make, store):
    store.failures = 1
    sink = make(store, pauses=(FOR_EVER,))
    await sink.start()
    ids = turns(sink, 1)
    await until(lambda: store.calls == 1)
    await asyncio.sleep(0)  # it pauses now, for ever
    sink._clerk._pauses = (0.001,)
    await sink.stop()
    assert store.ids == ids


async def test_a_stop_that_is_cut_short_leaves_the_rows_in_the_journal(make, store):
    failures = lost()
    store.open.clear()
    sink = make(store)
    await sink.start()
    ids = turns(sink, 3)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await sink.stop()
    store.open.set()
    heir = make(store)
    await heir.start()
    await until(lambda: store.ids == ids)
    await heir.stop()
    assert failures() == 0


async def test_without_a_journal_the_oldest_row_beyond_the_capacity_is_dropped_and_counted(make, store):
    failures, begun = lost(), Counted(names.AUDIT_BEGUN)
    sink = make(store, capacity=3)
    ids = turns(sink, 5)
    await sink.start()
    await sink.stop()
    assert store.ids == ids[2:]
    assert (failures(), begun(), sink.book.ledger.balance) == (2, 5, 2)


async def test_an_overflow_during_a_commit_loses_nothing_that_was_not_committed(make, store):
    store.open.clear()
    sink = make(store, capacity=3)
    await sink.start()
    sink.book.journal = Full(sink.book.journal)
    ids = turns(sink, 3)
    await until(lambda: store.calls == 1)
    ids += turns(sink, 2)
    store.open.set()
    await until(lambda: len(store.ids) == 5)
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


async def test_it_does_not_start_where_no_journal_can_be(make, store, folder):
    folder.write_text("a file")
    with pytest.raises(JournalError, match="cannot be begun"):
        await make(store).start()


def test_it_starts_again_in_another_loop(make, store):
    sink = make(store)

    async def once() -> None:
        store.open = asyncio.Event()
        store.open.set()
        await sink.start()
        ids = turns(sink, 2)
        await until(lambda: store.ids[-2:] == ids)
        await sink.stop()
        assert sink.book.ledger.balance == 0

    for _ in range(2):
        asyncio.run(once())
    assert len(store.rows) == 4


@pytest.mark.parametrize("places", [(0,), (6,), (2, 3), tuple(range(7))])
async def test_a_row_that_is_refused_is_put_aside_and_holds_up_no_other(make, store, caplog, places):
    committed, failures, sink = Counted(names.AUDIT_COMMITTED), lost(), make(store)
    await sink.start()
    ids = turns(sink, 7)
    store.poison = {ids[place] for place in places}
    await until(lambda: sink.book.waiting().rows == 0)
    calls = store.calls
    ids += turns(sink, 1)
    await sink.stop()
    assert store.ids == [each for each in ids if each not in store.poison]
    assert store.aside == [ids[place] for place in places]
    assert store.calls == calls + 1  # what was put aside is not tried again
    assert (committed(), failures()) == (8 - len(places), len(places))
    assert (sink.book.ledger.quarantined, sink.book.ledger.balance) == (len(places), 0)
    told = [
        (record.levelno, record.line.fields["id"])
        for record in caplog.records
        if record.line.type == names.SINK_FAILED
    ]
    assert told == [(logging.ERROR, ids[place]) for place in places]


async def test_a_database_that_goes_away_while_a_row_is_looked_for_costs_no_row(make, store):
    sink = make(store)
    ids = turns(sink, 4)
    store.poison = {ids[2]}
    refusing, calls = store.append, []

    async def append(rows) -> frozenset[str]:
        calls.append(len(rows))
        if len(calls) == 3:
            raise OSError("away")
        return await refusing(rows)

    store.append = append
    await sink.start()
    await sink.stop()
    assert store.ids == [ids[0], ids[1], ids[3]]
    assert calls == [4, 2, 2, 4, 2, 2, 1, 1]
    assert (sink.book.ledger.committed, sink.book.ledger.quarantined) == (3, 1)


async def test_a_flood_of_refusals_has_twenty_rows_and_one_for_all_others(make, store):
    sink = make(store)
    await sink.start()
    for _ in range(50):
        sink.closed(refused(opening=an_opening()))
    await sink.stop()
    assert [row.count for row in store.rows.values()] == [1] * 20 + [30]
    assert '"count":30' in [*store.rows.values()][-1].metadata
    assert sink.book.ledger.balance == 0


async def test_a_flood_that_is_cut_off_by_a_crash_keeps_its_count(make, store):
    dead = make(store)
    await dead.start()
    for _ in range(33):
        dead.closed(refused(opening=an_opening()))
    dead._floods._windows.clear()  # as a process that dies forgets them
    await dead.stop()
    heir = make(store)
    await heir.start()
    await until(lambda: sum(row.count for row in store.rows.values()) == 33)
    await heir.stop()
    assert len(store.rows) == 21


class Full:
    """A journal that takes nothing, as on a full disk."""

    writable = False
    fault = "The journal cannot be written: No space left on device."
    open_entries = rows_written = size = 0
    oldest = None
    writer = "f" * 32

    def __init__(self, journal) -> None:
        self.journal, self.tries = journal, 0

    def intend(self, *_) -> None:
        raise AuditUnwritable("full")

    share = intend

    def settle(self, *_) -> bool:
        return False

    def take(self, limit):
        return self.journal.take(limit)

    def release(self, batch) -> None:
        self.journal.release(batch)

    async def synced(self) -> bool:
        return False

    async def try_again(self) -> bool:
        self.tries += 1
        return False

    async def close(self) -> None:
        await self.journal.close()


async def test_a_turn_that_cannot_be_written_down_is_refused_and_its_refusal_is_a_row(make, store):
    sink = make(store)
    await sink.start()
    sink.book.journal = Full(sink.book.journal)
    opening = an_opening()
    sink.opened(opening)
    with pytest.raises(AuditUnwritable) as raised:
        sink.require(opening.turn_id)
    assert (raised.value.code, raised.value.retry_after_ms) == (Code.AUDIT_UNWRITABLE, 1000)
    sink.closed(refused(opening=opening))
    await until(lambda: store.ids == [opening.turn_id])
    assert sink.book.ledger.balance == 0
    assert (sink.fault, sink.refuses) == (Full.fault, True)
    await sink.stop()


async def test_turns_may_run_unrecorded_where_the_settings_say_so_and_are_counted(make, store):
    sink = make(store, unwritable="continue")
    await sink.start()
    kept = sink.book.journal
    sink.book.journal = Full(kept)
    openings = [an_opening() for _ in range(3)]
    for opening in openings:
        sink.opened(opening)
        sink.require(opening.turn_id)
        sink.closed(answered(opening=opening))
    await until(lambda: len(store.rows) == 3)
    sink.book.journal = kept
    sink.note(sink.book.gap.taken())
    await sink.stop()
    (gap,) = [row for row in store.rows.values() if row.entity_type == "AUDIT_GAP"]
    assert '"turns":3' in gap.metadata


async def test_strict_waits_for_the_disk_at_the_end_and_default_does_not(make, store):
    for durability, waits in (("strict", 1), ("default", 0)):
        sink = make(store, durability=durability)
        await sink.start()
        asked = []

        async def synced(asked=asked) -> bool:
            asked.append(1)
            return True

        kept, sink.book.journal.synced = sink.book.journal.synced, synced
        await sink.ended()
        assert len(asked) == waits
        sink.book.journal.synced = kept
        await sink.stop()


class Seal:
    def __init__(self) -> None:
        self.made = []

    async def seal(self, *, force=False) -> None:
        self.made.append(force)


async def test_a_process_that_records_nothing_seals_nothing_in_its_first_minute(make, store):
    seal = Seal()
    sink = make(store, sealing=seal)
    await sink.start()
    await sink._clerk._look_around(0.0)
    assert seal.made == []
    sink._clerk._began -= 60
    await sink._clerk._look_around(0.0)
    assert seal.made == [False]
    await sink.stop()
    assert seal.made[-1] is True


async def test_an_orderly_stop_seals_the_log(make, store):
    seal = Seal()
    sink = make(store, sealing=seal)
    await sink.start()
    turns(sink, 1)
    await sink.stop()
    assert seal.made[-1] is True
    assert store.size == 1


async def test_a_row_the_journal_did_not_take_settles_its_intent_there_later(make, store):
    sink = make(store)
    await sink.start()
    kept, opening = sink.book.journal, an_opening()
    sink.opened(opening)
    full = Full(kept)
    full.open_entries = 1
    sink.book.journal = full
    sink.closed(answered(opening=opening))
    await until(lambda: store.ids == [opening.turn_id])
    assert sink.book.ledger.balance == 0
    sink.book.journal = kept
    sink.book.settle_again()
    await sink.stop()
    assert (kept.open_entries, store.ids) == (0, [opening.turn_id])
    assert sink.book.ledger.balance == 0


async def test_the_journal_is_tried_again_while_the_database_is_away_too(make, store):
    store.failures = FOR_EVER
    sink = make(store)
    await sink.start()
    kept = sink.book.journal
    sink.book.journal = full = Full(kept)
    sink.closed(answered(opening=an_opening()))
    await until(lambda: full.tries > 0)
    sink.book.journal, store.failures = kept, 0
    await sink.stop()
    assert len(store.rows) == 1


async def test_an_estate_that_cannot_be_read_holds_up_nobody(make, store, folder, caplog):
    dead = make(store)
    await dead.start()
    dead.book.journal.settle("no-row", b"of another version")
    store.failures = FOR_EVER
    await dead.stop()
    store.failures = 0
    heir = make(store)
    await heir.start()
    ids = turns(heir, 2)
    await until(lambda: store.ids == ids)
    await heir.stop()
    said = [record.line.fields.get("error", "") for record in caplog.records]
    assert any("another version" in error for error in said)
    assert len([*folder.iterdir()]) == 1
