import asyncio
import threading
import time

import pytest

from service.audit.journal import Journal, OsDisk
from service.audit.journal.syncer import LULL, Syncer
from tests.harness.waiting import wait

KEY, LOG = b"k" * 32, "a" * 32


class Watched(OsDisk):
    """Knows which threads wait for the disk, and lets them wait while `gate` is closed."""

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.synced: list[int | str] = []
        self.gate = threading.Event()
        self.gate.set()

    def sync(self, fd):
        self.threads.add(threading.get_ident())
        self.gate.wait()
        super().sync(fd)
        self.synced.append(fd)

    def sync_folder(self, path):
        self.threads.add(threading.get_ident())
        super().sync_folder(path)
        self.synced.append(path.name)


@pytest.fixture
def disk() -> Watched:
    return Watched()


@pytest.fixture
async def journal(tmp_path, disk):
    journal = Journal.open(tmp_path / "top", KEY, LOG, disk=disk, segment_bytes=2_000, reserve_bytes=4_096)
    yield journal
    disk.gate.set()
    await journal.close()


async def test_the_event_loop_s_thread_never_waits_for_the_disk(journal, disk):
    for number in range(40):
        journal.intend(str(number), b"x" * 200)
        journal.settle(str(number), b"x" * 200)
        if number % 4 == 0:
            assert await journal.synced()
            journal.release(journal.take(100))
    await journal.try_again()
    await journal.close()
    assert disk.synced
    assert threading.get_ident() not in disk.threads
    assert len(disk.threads) == 1


async def test_nothing_is_synced_until_the_disk_says_so_and_then_all_at_once(journal, disk):
    assert await journal.synced()
    disk.gate.clear()
    waiting = []
    for number in range(5):
        journal.intend(str(number), b"x")
        waiting.append(asyncio.ensure_future(journal.synced()))
        await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    before = len(disk.synced)
    disk.gate.set()
    assert await asyncio.gather(*waiting) == [True] * 5
    assert len(disk.synced) - before <= 2, "one under way, one for all the others"


async def test_a_row_is_synced_with_nobody_waiting(journal, disk):
    assert await journal.synced()
    before = len(disk.synced)
    journal.settle("a", b"row")
    async with asyncio.timeout(30):
        while len(disk.synced) == before:  # noqa: ASYNC110 - told by another thread
            await asyncio.sleep(0.001)


async def test_whoever_stops_waiting_harms_nobody(journal, disk):
    disk.gate.clear()
    journal.intend("a", b"x")
    gone, waits = asyncio.ensure_future(journal.synced()), asyncio.ensure_future(journal.synced())
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    disk.gate.set()
    assert await waits


async def test_names_are_on_the_disk_before_anybody_is_told(journal, disk):
    assert await journal.synced()
    assert {"top", journal.writer} <= set(disk.synced)
    disk.synced.clear()
    assert journal.roll()
    assert await journal.synced()
    assert journal.writer in disk.synced


def test_a_folder_marked_during_a_sync_is_synced_by_the_next(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    seen = []

    class Marking(Watched):
        def sync_folder(self, path):
            seen.append(path.name)
            if len(seen) == 1:
                syncer.mark_folder(tmp_path / "a")

    syncer = Syncer(Marking(), start=False)
    syncer.mark_folder(tmp_path / "a")
    for _ in range(2):
        syncer.hurry()
        assert syncer.work()
    assert seen == ["a", "a"]


def test_after_an_error_nothing_is_synced_until_it_is_told_to():
    class Sick(Watched):
        def sync(self, fd):
            self.synced.append(fd)
            raise OSError(5, "sick")

    disk = Sick()
    syncer = Syncer(disk, start=False)
    told = []
    syncer.synced = lambda ticket, error: told.append((ticket, bool(error)))
    syncer.mark(1, 11, 0.0)
    assert syncer.work()
    syncer.mark(2, 11, 0.0)
    assert not syncer.work()
    assert syncer.held
    syncer.absorb()
    syncer.resume()
    syncer.mark(3, 12, 0.0)
    assert syncer.work()
    syncer.absorb()
    assert told == [(1, True), (3, True)]
    assert disk.synced == [11, 12]


def test_what_was_marked_when_an_error_came_does_not_keep_the_thread_asleep():
    class Sick(Watched):
        def sync(self, fd):
            self.threads.add(threading.get_ident())
            self.gate.wait()
            if fd < 3:
                raise OSError(5, "sick")
            self.synced.append(fd)

    sick, told, heard = Sick(), [], threading.Event()
    syncer = Syncer(sick)
    syncer.synced, syncer.wake = lambda ticket, error: told.append((ticket, bool(error))), heard.set
    sick.gate.clear()
    syncer.mark(1, 1, 0.0)
    wait(lambda: sick.threads)
    syncer.mark(2, 2, 0.0)
    sick.gate.set()
    wait(lambda: syncer.held)
    time.sleep(10 * LULL)  # until the thread sleeps for good
    syncer.absorb()
    syncer.resume()
    heard.clear()
    syncer.mark(3, 3, 0.0)
    syncer.hurry()
    assert heard.wait(30), "nobody rang"
    syncer.absorb()
    syncer.stop()
    assert (told, sick.synced) == ([(1, True), (3, False)], [3])


async def test_under_load_one_sync_is_for_all_that_came_within_a_while(tmp_path, disk):
    syncer = Syncer(disk)
    told, heard = [], asyncio.Event()
    loop = asyncio.get_running_loop()
    syncer.synced = lambda ticket, error: told.append((ticket, error))
    syncer.wake = lambda: loop.call_soon_threadsafe(heard.set)
    syncer.apart = 1.0
    file = (tmp_path / "file").open("wb")
    for ticket in range(1, 11):
        syncer.mark(ticket, file.fileno(), 0.0)
        while not disk.synced:  # noqa: ASYNC110 - told by another thread
            await asyncio.sleep(0)
    syncer.hurry()
    await heard.wait()
    syncer.stop()
    syncer.absorb()
    file.close()
    assert told[-1] == (10, None)
    assert len(disk.synced) == 2, "the first at once, the others together"


def test_nobody_is_woken_for_what_nobody_waits_for():
    class Quick(Watched):
        def sync(self, fd):
            self.synced.append(fd)

    syncer, woken = Syncer(Quick(), start=False), []
    syncer.wake = lambda: woken.append(True)
    syncer.mark(1, 0, 0.0)
    assert syncer.work()
    assert not woken
    syncer.mark(2, 0, 0.0)
    syncer.hurry()
    assert syncer.work()
    assert woken == [True]


def test_who_comes_to_wait_while_the_disk_works_is_told():
    class Coming(Watched):
        def sync(self, fd):
            self.synced.append(fd)
            syncer.hurry()

    syncer, woken = Syncer(Coming(), start=False), []
    syncer.wake = lambda: woken.append(True)
    syncer.mark(1, 0, 0.0)
    assert syncer.work()
    assert woken == [True]
    assert not syncer.work(), "it was on its way already"
