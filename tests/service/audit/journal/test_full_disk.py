import asyncio
import errno
import json
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from service.audit.journal import Journal, OsDisk, adopt
from service.errors import AuditUnwritable, JournalError
from tests.harness.need import missing, need
from tests.service.audit.journal.cramped import RUNNING

ROOT = Path(__file__).parents[4]
KEY, LOG = b"k" * 32, "a" * 32


@pytest.fixture
def told(tmp_path: Path) -> dict:
    """What the process on a full disk says."""
    unshare = need("unshare", why="a disk of the test's own")
    if subprocess.run([unshare, "-rm", "true"], capture_output=True, check=False).returncode:
        missing("this user may not make a mount namespace (unshare -rm)")
    command = [unshare, "-rm", sys.executable, "-m", "tests.service.audit.journal.cramped", str(tmp_path)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_on_a_full_disk_what_is_new_is_refused_and_what_runs_is_settled(told):
    assert 0 <= told["refused"] < 10
    assert not told["writable when full"]
    assert told["fault"] in {
        "The journal cannot be written: No space left on device.",
        "The journal cannot be written: the disk took only a part.",
    }
    assert not told["again when full"]
    assert told["settled"] == [True] * RUNNING
    assert told["synced when full"]
    assert told["taken"] == RUNNING
    assert told["files when full"] == ["000001.seg", "000002.seg", "lock"]
    assert told["again"]
    assert told["writable"]
    assert "reserve" in told["files"]
    assert told["synced"]
    assert told["rows"] == RUNNING
    assert told["left"] == sorted(["after", *(f"late{number}" for number in range(told["refused"]))])
    assert told["damaged"] == 0


@pytest.fixture
def limited():
    """Let no file of this process grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_short_write_is_cut_off(tmp_path, limited):
    journal = Journal.open(tmp_path, KEY, LOG, reserve_bytes=4_096)
    journal.intend("a", b"x" * 1_000)
    path = tmp_path / journal.writer / "000001.seg"
    whole = path.stat().st_size
    limited(whole + 300)
    with pytest.raises(AuditUnwritable):
        journal.intend("b", b"x" * 1_000)
    assert path.stat().st_size == whole
    assert not journal.writable
    limited(resource.RLIM_INFINITY)
    assert await journal.try_again()
    journal.intend("c", b"x")
    await journal.close()
    (estate,) = [
        (list(e.rows()), [left.id for left in e.left()], e.damaged) for e in adopt(tmp_path, (KEY,), LOG)
    ]
    assert estate == ([], ["a", "c"], 0)


class Sick(OsDisk):
    """Fails as it is told: the names of operations and how often."""

    def __init__(self) -> None:
        self.failures: dict[str, int] = {}
        self.number = errno.EIO
        self.gate, self.arrived = threading.Event(), threading.Event()
        self.gate.set()

    def fail(self, name: str) -> None:
        if self.failures.get(name, 0) > 0:
            self.failures[name] -= 1
            raise OSError(self.number, os.strerror(self.number))

    def create(self, path):
        self.fail("create")
        return super().create(path)

    def write(self, fd, data, offset):
        self.fail("write")
        return super().write(fd, data, offset)

    def allocate(self, fd, size):
        self.fail("allocate")
        super().allocate(fd, size)

    def sync(self, fd):
        self.arrived.set()
        self.gate.wait()
        self.fail("sync")
        super().sync(fd)

    def sync_folder(self, path):
        self.fail("sync_folder")
        super().sync_folder(path)

    def rename(self, old, new):
        self.fail("rename")
        super().rename(old, new)


@pytest.fixture
def disk() -> Sick:
    return Sick()


@pytest.fixture
async def journal(tmp_path, disk):
    journal = Journal.open(tmp_path / "top", KEY, LOG, disk=disk, reserve_bytes=4_096)
    yield journal
    disk.failures = {}
    disk.gate.set()
    await journal.close()


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG], ids=errno.errorcode.get
)
async def test_any_fault_refuses_what_is_new_and_settles_what_runs(journal, disk, number):
    journal.intend("running", b"?")
    disk.number, disk.failures = number, {"write": 1}
    with pytest.raises(AuditUnwritable, match="cannot be recorded"):
        journal.intend("new", b"?")
    assert not journal.writable
    assert os.strerror(number) in journal.fault
    disk.failures = {"write": 1}
    with pytest.raises(AuditUnwritable):
        journal.intend("newer", b"?")
    assert disk.failures == {"write": 1}, "a disk that failed is not asked again"
    assert journal.settle("running", b"row")
    assert [row.id for row in journal.take(9).rows] == ["running"]
    assert await journal.synced()
    assert journal.open_entries == 0
    assert await journal.try_again()
    assert journal.writable
    assert journal.fault == ""
    journal.intend("newest", b"?")


async def test_a_row_that_cannot_be_written_at_all_stays_with_the_caller(journal, disk):
    journal.intend("a", b"?")
    disk.failures = {"write": 9}
    assert not journal.settle("a", b"row")
    assert journal.open_entries == 1
    disk.failures = {}
    assert journal.settle("a", b"row")
    assert [row.content for row in journal.take(9).rows] == [b"row"]


async def test_it_is_not_writable_again_before_there_is_a_reserve(journal, disk):
    disk.failures = {"write": 1}
    with pytest.raises(AuditUnwritable):
        journal.intend("a", b"?")
    disk.failures = {"allocate": 1}
    assert not await journal.try_again()
    disk.failures = {"create": 1}
    assert not await journal.try_again()
    disk.failures = {"rename": 1}
    assert not await journal.try_again()
    assert not journal.writable
    assert await journal.try_again()


async def test_a_failed_sync_is_mended_in_a_new_segment(journal, disk, tmp_path):
    journal.intend("a", b"?")
    journal.intend("b", b"?")
    journal.settle("b", b"row")
    disk.failures = {"sync": 1}
    assert await journal.synced()
    assert journal.writable
    (tmp_path / "top" / journal.writer / "000001.seg").write_bytes(b"")
    assert [row.id for row in journal.take(9).rows] == ["b"]


async def test_a_disk_that_does_not_sync_at_all_is_not_writable(journal, disk):
    journal.intend("a", b"?")
    disk.failures = {"sync": 9}
    assert not await journal.synced()
    assert not journal.writable
    assert not await journal.synced()
    assert not await journal.try_again()
    assert journal.settle("a", b"row")
    disk.failures = {}
    assert await journal.try_again()
    assert await journal.synced()
    assert [row.id for row in journal.take(9).rows][-1] == "a"


def test_no_room_for_a_reserve_stops_the_start(tmp_path, disk):
    disk.number, disk.failures = errno.ENOSPC, {"allocate": 1}
    with pytest.raises(JournalError, match="No space left"):
        Journal.open(tmp_path, KEY, LOG, disk=disk)


async def test_room_set_aside_stays_when_a_write_into_it_fails(journal, disk, tmp_path):
    for name in ("a", "b"):
        journal.intend(name, b"?")
    disk.failures = {"write": 1}
    assert journal.settle("a", b"row")
    reserve = tmp_path / "top" / journal.writer / "000002.seg"
    assert reserve.stat().st_size == 4_096
    disk.failures = {"write": 9}
    assert not journal.settle("b", b"row")
    assert reserve.stat().st_size == 4_096


async def test_an_open_entry_before_the_reserve_keeps_its_segment(journal, disk, tmp_path):
    for name in ("open", "a", "b"):
        journal.intend(name, b"?")
    assert journal.settle("a", b"row")
    disk.failures = {"write": 1}
    assert journal.settle("b", b"row")
    await journal.close()
    for estate in adopt(tmp_path / "top", (KEY,), LOG):
        for batch in estate.rows(1):
            estate.forget(batch.upto)
        assert [left.id for left in estate.left()] == ["open"]
    assert (tmp_path / "top" / journal.writer / "000001.seg").exists()


async def test_a_fault_while_it_is_tried_again_counts(journal, disk):
    journal.intend("a", b"?")
    disk.failures = {"write": 1}
    with pytest.raises(AuditUnwritable):
        journal.intend("b", b"?")
    assert await journal.synced()
    disk.gate.clear()
    disk.arrived.clear()
    again = asyncio.ensure_future(journal.try_again())
    while not disk.arrived.is_set():  # noqa: ASYNC110 - told by another thread
        await asyncio.sleep(0.001)
    disk.failures = {"write": 1}
    assert journal.settle("a", b"row")
    disk.gate.set()
    assert not await again
    assert not journal.writable
    assert await journal.try_again()


async def test_a_segment_that_is_gone_though_its_folder_was_not_synced_is_not_read_again(journal, disk):
    removed, unlink = [], disk.unlink

    def unlinked(path):
        unlink(path)
        removed.append(path)
        disk.failures = {"sync_folder": 1}

    disk.unlink = unlinked
    assert journal.roll()  # the first segment holds nothing: it may go as soon as this is on the disk
    assert await journal.synced()
    await wait_until(lambda: removed and not disk.failures["sync_folder"])
    assert await journal.synced()
    journal.settle("a", b"row")
    assert [row.id for row in journal.take(10).rows] == ["a"]


async def wait_until(condition):
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never was so")
