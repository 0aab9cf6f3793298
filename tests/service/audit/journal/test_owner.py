import asyncio
from pathlib import Path

import pytest

from service.audit.journal import Journal, OsDisk, adopt
from service.audit.journal.frame import BIGGEST
from service.audit.journal.syncer import Syncer
from service.errors import AuditUnwritable, JournalError

KEY, LOG = b"k" * 32, "a" * 32


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return tmp_path / "var" / "journal"


@pytest.fixture
async def journal(top: Path):
    journal = Journal.open(top, KEY, LOG, segment_bytes=1_000, reserve_bytes=8_192)
    yield journal
    await journal.close()


def names(top: Path, journal: Journal) -> list[str]:
    return sorted(path.name for path in (top / journal.writer).iterdir())


async def removed(top: Path, journal: Journal, name: str) -> None:
    """Wait until a file is gone: the thread removes it in its own time."""
    async with asyncio.timeout(30):
        while name in names(top, journal):
            await journal.synced()
            await asyncio.sleep(0.001)


async def test_what_is_settled_comes_out_in_the_order_of_settling(journal):
    for name in ("a", "b", "c"):
        journal.intend(name, b"?")
    assert [journal.settle(name, name.upper().encode()) for name in ("b", "a", "c")] == [True] * 3
    rows = journal.take(10).rows
    assert [(row.id, row.content) for row in rows] == [("b", b"B"), ("a", b"A"), ("c", b"C")]
    assert [row.seq for row in rows] == [5, 6, 7]


async def test_a_batch_comes_again_until_it_is_released(journal):
    for number in range(5):
        journal.settle(str(number), b"row")
    first = journal.take(2)
    assert (len(first.rows), first.more) == (2, True)
    assert journal.take(2) == first
    journal.release(first)
    rest = journal.take(10)
    assert [row.id for row in rest.rows] == ["2", "3", "4"]
    assert not rest.more


async def test_an_older_release_does_not_go_back(journal):
    for number in range(4):
        journal.settle(str(number), b"row")
    first = journal.take(1)
    both = journal.take(2)
    journal.release(both)
    journal.release(first)
    assert [row.id for row in journal.take(10).rows] == ["2", "3"]


async def test_folders_and_files_are_the_owner_s_alone(top, journal):
    modes = {path.name: path.stat().st_mode & 0o777 for path in (top / journal.writer).iterdir()}
    assert modes == {"lock": 0o600, "000001.seg": 0o600, "reserve": 0o600}
    assert {path.stat().st_mode & 0o777 for path in (top, top / journal.writer)} == {0o700}


async def test_nothing_readable_lies_in_a_file(top, journal):
    journal.intend("the-id", b"what was asked")
    journal.settle("the-id", b"what was answered")
    told = b"".join(path.read_bytes() for path in (top / journal.writer).iterdir())
    assert b"the-id" not in told
    assert b"what was" not in told
    assert LOG.encode() in told


async def test_synced_says_yes(journal):
    journal.intend("a", b"?")
    assert await journal.synced()
    assert await journal.synced()


async def test_a_consumed_segment_goes_and_what_is_open_is_carried(top, journal):
    journal.intend("open", b"o" * 300)
    for number in range(8):
        journal.settle(str(number), b"r" * 200)
    batch = journal.take(100)
    assert len(batch.rows) == 8
    assert journal.roll()
    assert await journal.synced()
    assert "000001.seg" in names(top, journal)
    journal.release(batch)
    await removed(top, journal, "000001.seg")
    assert journal.settle("open", b"late")
    assert [row.id for row in journal.take(9).rows] == ["open"]


async def test_a_segment_with_an_unreleased_row_stays(top, journal):
    journal.settle("a", b"r")
    journal.settle("b", b"r")
    journal.release(journal.take(1))
    for _ in range(3):
        assert journal.roll()
        assert await journal.synced()
    assert "000001.seg" in names(top, journal)
    assert [row.id for row in journal.take(9).rows] == ["b"]
    journal.release(journal.take(9))
    await removed(top, journal, "000001.seg")


async def test_the_gauges_say_what_there_is(journal):
    assert (journal.open_entries, journal.rows_written, journal.oldest) == (0, 0, None)
    before = journal.size
    journal.intend("a", b"x" * 100)
    journal.intend("b", b"x" * 100)
    journal.settle("a", b"x")
    assert (journal.open_entries, journal.rows_written) == (1, 1)
    assert journal.size > before > 8_192
    assert isinstance(journal.oldest, int)
    journal.release(journal.take(9))
    assert journal.oldest is None


async def test_an_entry_too_large_is_refused_and_harms_nothing(journal):
    with pytest.raises(AuditUnwritable):
        journal.intend("a", b"x" * BIGGEST)
    with pytest.raises(AuditUnwritable):
        journal.intend("i" * 256, b"x")
    assert not journal.settle("a", b"x" * BIGGEST)
    assert journal.writable
    journal.intend("a", b"x" * (BIGGEST - 1_000))
    assert journal.settle("a", b"x" * (BIGGEST - 1_000))
    assert len(journal.take(1).rows[0].content) == BIGGEST - 1_000


async def test_one_more_of_nothing_is_a_mistake(journal):
    with pytest.raises(KeyError):
        journal.add("nobody")


async def test_an_empty_journal_leaves_nothing_behind(top):
    journal = Journal.open(top, KEY, LOG)
    journal.intend("a", b"?")
    journal.settle("a", b"row")
    journal.release(journal.take(9))
    await journal.close()
    await journal.close()
    assert list(top.iterdir()) == []


async def test_what_is_left_at_the_close_is_there_for_adoption(top):
    journal = Journal.open(top, KEY, LOG)
    journal.intend("open", b"?")
    journal.settle("settled", b"row")
    await journal.close()
    (estate,) = [(list(e.rows()), list(e.left())) for e in adopt(top, (KEY,), LOG)]
    assert [row.id for batch in estate[0] for row in batch.rows] == ["settled"]
    assert [left.id for left in estate[1]] == ["open"]


def test_a_folder_that_cannot_be_made_stops_the_start(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match=r"cannot be begun in .*Not a directory"):
        Journal.open(tmp_path / "file" / "journal", KEY, LOG)


async def test_a_file_that_vanished_cannot_be_read(top, journal):
    journal.settle("a", b"row")
    (top / journal.writer / "000001.seg").rename(top / "elsewhere")
    with pytest.raises(JournalError, match="No such file"):
        journal.take(1)
    (top / "elsewhere").rename(top / journal.writer / "000001.seg")
    assert journal.take(1).rows


class Meanwhile(OsDisk):
    """Lets something happen just before a file is opened."""

    before = staticmethod(lambda: None)

    def open(self, path):
        self.before()
        return super().open(path)


async def test_a_segment_that_is_being_removed_is_not_read(top):
    disk, syncer = Meanwhile(), Syncer(OsDisk(), start=False)
    journal = Journal.open(top, KEY, LOG, disk=disk, reserve_bytes=4_096, syncer=syncer)
    journal.settle("a", b"row")
    journal.intend("open", b"?")
    batch = journal.take(1)
    assert journal.roll()
    while syncer.work():
        syncer.absorb()
    journal.release(batch)
    journal.settle("b", b"row")
    disk.before = syncer.work
    assert [row.id for row in journal.take(9).rows] == ["b"]
    assert names(top, journal) == ["000002.seg", "lock", "reserve"]
