"""Everything at once on a disk that fails and loses power: what is promised holds after any history."""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from service.audit.journal import Journal, adopt
from service.audit.journal.syncer import Syncer
from service.errors import AuditUnwritable
from tests.service.audit.journal.platter import Platter, PowerCut

STEPS = int(os.environ.get("PARLEY_STEPS", "0"))
TOP, KEY, LOG = Path("/journal"), b"k" * 32, "a" * 32
SEGMENT, RESERVE = 1_500, 4_000
INTERRUPTED = b"interrupted"


class Machine(RuleBasedStateMachine):
    """One owner after another on one disk; `database` is what was committed, by id."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.disk = Platter()
        self.database: dict[str, bytes] = {}
        self.asked: dict[str, bytes] = {}  # every intent and shared beginning ever tried
        self.given: dict[str, bytes] = {}  # every row ever tried
        self.counts: dict[str, int] = {}  # the most that a shared row may stand for
        self.written: set[str] = set()  # intents that were taken, since the last crash
        self.settled: set[str] = set()  # rows that were taken
        self.safe_intents: set[str] = set()
        self.safe_rows: set[str] = set()
        self.safe_counts: dict[str, int] = {}
        self.open: list[str] = []
        self.owed: list[str] = []  # the journal would not take the row: the owner keeps it
        self.number = 0
        self.start()

    def teardown(self) -> None:
        try:
            self.seed, self.deaths = 0, 1
            self.recover(1.0)
        finally:
            self.loop.close()

    def start(self) -> None:
        self.syncer = Syncer(self.disk, start=False, clock=lambda: 0.0)
        self.journal = Journal.open(
            TOP, KEY, LOG, disk=self.disk, segment_bytes=SEGMENT, reserve_bytes=RESERVE, syncer=self.syncer
        )
        self.open, self.owed = [], []
        for known in (self.written, self.settled):
            known.clear()

    def guarded(self, work: Callable[[], object]) -> None:
        """Do something; if the power goes in the middle of it, start again."""
        try:
            work()
        except PowerCut:
            self.recover(self.survives)
        except AuditUnwritable:
            assert not self.journal.writable

    survives = 0.5

    def pumped(self, waiting: Awaitable[bool]) -> bool:
        async def pump() -> bool:
            task = asyncio.ensure_future(waiting)
            while not task.done():
                self.work()
                await asyncio.sleep(0)
                if self.disk.dead:
                    task.cancel()
                    raise PowerCut
            return task.result()

        return self.loop.run_until_complete(pump())

    def work(self) -> None:
        while self.syncer.work():
            pass

    def new_id(self) -> str:
        self.number += 1
        return f"id-{self.number}"

    @rule(size=st.sampled_from([0, 10, 200, 900]))
    def intend(self, size: int) -> None:
        name = self.new_id()

        def write() -> None:
            self.asked[name] = f"asked {name} ".encode() * (size // 10)
            self.journal.intend(name, self.asked[name])
            self.written.add(name)
            self.open.append(name)

        self.guarded(write)

    @rule(more=st.integers(0, 3))
    def share(self, more: int) -> None:
        name = self.new_id()

        def write() -> None:
            self.asked[name], self.counts[name] = f"shared {name}".encode(), 1
            self.journal.share(name, self.asked[name])
            self.written.add(name)
            self.open.append(name)
            for _ in range(more):
                self.count(name)

        self.guarded(write)

    def count(self, name: str) -> None:
        self.journal.add(name)
        self.counts[name] += 1

    @precondition(lambda self: self.counts.keys() & set(self.open))
    @rule(data=st.data())
    def add(self, data) -> None:
        name = data.draw(st.sampled_from([name for name in self.open if name in self.counts]))
        self.guarded(lambda: self.count(name))

    @precondition(lambda self: self.open or self.owed)
    @rule(data=st.data(), size=st.sampled_from([0, 10, 200, 900]))
    def settle(self, data, size: int) -> None:
        name = data.draw(st.sampled_from(self.open + self.owed))

        def write() -> None:
            self.given.setdefault(name, f"row {name} ".encode() * (size // 10 + 1))
            taken = self.journal.settle(name, self.given[name])
            (self.open if name in self.open else self.owed).remove(name)
            if taken:
                self.settled.add(name)
            else:
                assert not self.journal.writable
                self.owed.append(name)

        self.guarded(write)

    @rule()
    def settle_what_was_not_begun(self) -> None:
        self.open.append(self.new_id())
        name = self.open[-1]

        def write() -> None:
            self.given[name] = f"alone {name}".encode()
            self.open.remove(name)
            if self.journal.settle(name, self.given[name]):
                self.settled.add(name)

        self.guarded(write)

    @rule()
    def sync(self) -> None:
        def wait() -> None:
            counts = {name: self.counts[name] for name in self.counts if name in self.open}
            if self.pumped(self.journal.synced()):
                self.safe_intents |= self.written
                self.safe_rows |= self.settled
                self.safe_counts |= counts

        self.guarded(wait)

    @rule(heard=st.booleans())
    def work_in_the_background(self, *, heard: bool) -> None:
        def work() -> None:
            self.syncer.hurry()
            self.work()
            if heard:
                self.syncer.absorb()

        self.guarded(work)

    @rule(limit=st.integers(1, 5), release=st.booleans())
    def drain(self, limit: int, *, release: bool) -> None:
        def drain() -> None:
            batch = self.journal.take(limit)
            self.work()
            assert self.journal.take(limit).rows == batch.rows
            for row in batch.rows:
                assert row.content == self.given[row.id]
                if release:
                    self.database.setdefault(row.id, row.content)
            if release:
                self.journal.release(batch)

        self.guarded(drain)

    @rule()
    def roll(self) -> None:
        self.guarded(self.journal.roll)

    @rule()
    def try_again(self) -> None:
        self.guarded(lambda: self.pumped(self.journal.try_again()))

    @rule(room=st.sampled_from([0, 30, 300, 2_000, None]))
    def fill(self, room: int | None) -> None:
        self.disk.room = room

    @rule(times=st.integers(1, 3))
    def fail_writes(self, times: int) -> None:
        self.disk.sick_writes = times

    @rule(times=st.integers(1, 3))
    def fail_syncs(self, times: int) -> None:
        self.disk.sick_syncs = times

    @rule(life=st.integers(0, 25), survives=st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0]))
    def doom(self, life: int, survives: float) -> None:
        """The power goes soon, in the middle of something."""
        self.disk.life, self.survives = life, survives

    @rule(
        seed=st.integers(0, 1 << 32),
        survives=st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0]),
        deaths=st.integers(0, 60),
    )
    def crash(self, seed: int, survives: float, deaths: int) -> None:
        self.seed = seed
        self.deaths = deaths
        self.recover(survives)

    @rule()
    def close(self) -> None:
        def close() -> None:
            self.pumped(self.closing())
            self.recover(1.0)

        self.guarded(close)

    async def closing(self) -> bool:
        await self.journal.close()
        return True

    seed, deaths = 0, 0

    def recover(self, survives: float) -> None:
        """The machine starts again: adopt what is there, possibly dying once more, and look."""
        if survives >= 1:  # the process died, not the machine: what was written is there
            self.safe_intents |= self.written
            self.safe_rows |= self.settled
            self.safe_counts |= {name: self.counts[name] for name in self.counts if name in self.open}
        chance = random.Random(self.seed)  # noqa: S311 - the same history each time
        self.disk = self.disk.after(chance, survives)
        self.disk.life = self.deaths or None
        try:
            self.inherit()
        except PowerCut:
            self.disk = self.disk.after(chance, survives)
            self.inherit()
        self.disk.life = None
        self.look()
        self.start()

    def inherit(self) -> None:
        for estate in adopt(TOP, (KEY,), LOG, disk=self.disk):
            told: set[str] = set()
            for batch in estate.rows(3):
                for row in batch.rows:
                    assert row.content == self.given[row.id]
                    told.add(row.id)
                    self.database.setdefault(row.id, row.content)
                estate.forget(batch.upto)
            for left in estate.left():
                assert left.id not in told
                assert left.content == self.asked[left.id]
                if left.shared:
                    assert self.safe_counts.get(left.id, 1) <= left.count <= self.counts[left.id] + 1
                self.database.setdefault(left.id, INTERRUPTED)
            assert not estate.foreign
            estate.done()
        assert not [estate.writer for estate in adopt(TOP, (KEY,), LOG, disk=self.disk)]

    def look(self) -> None:
        """Strict loses no row, default no intent, and what is recorded is what was given."""
        for name in self.safe_rows:
            assert self.database.get(name) == self.given[name], name
        for name in self.safe_intents:
            assert name in self.database, name


Machine.TestCase.settings = settings(
    max_examples=max(STEPS // 50, 60), stateful_step_count=50, deadline=None, print_blob=True
)
test_no_history_loses_or_alters_anything = Machine.TestCase
