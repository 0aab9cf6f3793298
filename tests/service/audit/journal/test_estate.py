import asyncio
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.audit.journal import Journal, adopt
from service.audit.journal.frame import HEAD, MAGIC, framed
from service.audit.journal.header import Header, encoded
from tests.service.audit.journal.child import KEY, LOG, row

ROOT = Path(__file__).parents[4]
OTHER = "b" * 32
KILLS = 3 + int(os.environ.get("PARLEY_STEPS", "0")) // 100


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return tmp_path / "top"


@contextmanager
def child(*arguments: str):
    command = [sys.executable, "-m", "tests.service.audit.journal.child", *arguments]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def left_behind(top: Path, *, key: bytes = KEY, log_id: str = LOG, segment_bytes: int = 2_000) -> str:
    """A journal with five rows and two open entries, whose process is gone as far as anybody can see."""

    async def write() -> str:
        journal = Journal.open(top, key, log_id, segment_bytes=segment_bytes, reserve_bytes=4_096)
        journal.intend("early", b"e" * 100)
        for number in range(5):
            journal.intend(f"r{number}", b"x" * 700)
            journal.settle(f"r{number}", row(f"r{number}"))
        journal.share("many", b"m")
        journal.add("many")
        journal.add("many")
        await journal.close()
        return journal.writer

    return asyncio.run(write())


def segments(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.seg"))


def read(top: Path, *, key: bytes = KEY, log_id: str = LOG) -> list[tuple[list[str], list[tuple], dict]]:
    """Rows, what is left and what is foreign, of each estate; nothing is removed."""
    return [
        (
            [row.id for batch in estate.rows(2) for row in batch.rows],
            [(left.id, left.shared, left.count) for left in estate.left()],
            estate.foreign,
        )
        for estate in adopt(top, (key,), log_id)
    ]


def test_a_dead_writer_leaves_rows_in_order_then_what_is_open(top):
    left_behind(top)
    rows, left, foreign = read(top)[0]
    assert rows == [f"r{number}" for number in range(5)]
    assert left == [("early", False, 1), ("many", True, 3)]
    assert foreign == {}
    assert read(top) == [(rows, left, foreign)]


def test_nothing_there_is_nothing_to_adopt(top):
    assert read(top) == []
    top.mkdir()
    (top / "notes.txt").write_text("")
    (top / ("z" * 32)).mkdir()
    (top / ("a" * 32)).write_text("no folder")
    assert read(top) == []


def test_what_is_done_is_gone(top):
    left_behind(top)
    for estate in adopt(top, (KEY,), LOG):
        assert len(list(estate.rows())) >= 1
        assert len(list(estate.left())) == 2
        estate.done()
    assert list(top.iterdir()) == []


def test_nothing_is_removed_before_it_was_read(top):
    left_behind(top)
    for estate in adopt(top, (KEY,), LOG):
        with pytest.raises(RuntimeError):
            estate.done()
        with pytest.raises(RuntimeError):
            list(estate.left())
        next(estate.rows(1))
        with pytest.raises(RuntimeError):
            estate.done()
    assert len(read(top)[0][0]) == 5


def test_segments_go_as_their_rows_are_forgotten_and_those_with_open_entries_stay(top):
    writer = left_behind(top)
    before = segments(top / writer)
    assert len(before) >= 3
    for estate in adopt(top, (KEY,), LOG):
        for batch in estate.rows(1):
            estate.forget(batch.upto)
    assert segments(top / writer) == before[-1:]
    rows, left, _ = read(top)[0]
    assert rows[-1:] == ["r4"] or rows == []
    assert left == [("early", False, 1), ("many", True, 3)]


@pytest.mark.parametrize(
    ("key", "log_id", "word"),
    [(b"K" * 32, LOG, "key"), (KEY, OTHER, "log"), (b"K" * 32, OTHER, "log")],
)
def test_a_foreign_journal_is_told_and_left_as_it_is(top, key, log_id, word):
    writer = left_behind(top, key=key, log_id=log_id)
    before = {path.name: path.read_bytes() for path in (top / writer).iterdir()}
    for estate in adopt(top, (KEY,), LOG):
        assert list(estate.rows()) == []
        assert list(estate.left()) == []
        assert estate.foreign == dict.fromkeys(segments(top / writer), word)
        estate.done()
    assert {path.name: path.read_bytes() for path in (top / writer).iterdir()} == before
    assert read(top, key=key, log_id=log_id)[0][0] == [f"r{number}" for number in range(5)]


def test_a_segment_of_an_unknown_format_is_told_and_left_while_others_go(top):
    writer = left_behind(top)
    newer = Header(2, writer, LOG, "", 1, 9, 0)
    (top / writer / "000090.seg").write_bytes(framed(999, encoded(newer)))
    (top / writer / "000091.seg").write_bytes(b"#!/bin/sh\n")
    (top / writer / "000092.seg").write_bytes(framed(999, b"H{}"))
    for estate in adopt(top, (KEY,), LOG):
        assert len([row for batch in estate.rows() for row in batch.rows]) == 5
        strange = ["000090.seg", "000091.seg", "000092.seg"]
        assert estate.foreign == dict.fromkeys(strange, "format")
        estate.done()
    assert segments(top / writer) == strange


def test_a_skipped_writer_is_left_alone(top):
    writer = left_behind(top)
    assert list(adopt(top, (KEY,), LOG, skip={writer})) == []


@pytest.mark.parametrize("torn", [b"", bytes(900), MAGIC, MAGIC[:2], bytes(3) + MAGIC[3:] + b"half a header"])
def test_a_segment_that_was_torn_at_its_beginning_is_no_stranger(top, torn):
    writer = left_behind(top)
    (top / writer / "000090.seg").write_bytes(torn)
    for estate in adopt(top, (KEY,), LOG):
        assert len([row for batch in estate.rows() for row in batch.rows]) == 5
        assert estate.foreign == {}
        assert estate.damaged == len(torn.rstrip(b"\0"))
        estate.done()
    assert list(top.iterdir()) == []


def test_a_damaged_header_costs_no_row(top):
    writer = left_behind(top, segment_bytes=1 << 20)
    (only,) = segments(top / writer)
    data = bytearray((top / writer / only).read_bytes())
    for place in (0, HEAD - 1, HEAD + 20):
        data[place] ^= 1
        (top / writer / only).write_bytes(data)
        rows, left, foreign = read(top)[0]
        assert (len(rows), len(left), foreign) == (5, 2, {})
        assert not read(top, log_id=OTHER)[0][0]
        data[place] ^= 1


def test_a_living_writer_is_never_adopted(top):
    with child("write", str(top)) as process:
        wait_for(process, "S True")
        assert read(top) == []
        process.send_signal(signal.SIGKILL)
        process.wait()
    (estate,) = read(top)
    assert ("shared", True, 21) in estate[1]


@pytest.mark.parametrize("kill", range(KILLS))
def test_a_killed_writer_leaves_all_it_promised(top, kill):
    said = []
    with child("write", str(top)) as process:
        for line in process.stdout:
            said.append(line.split())
            if len(said) == 11 + 23 * kill % 80:
                break
        process.send_signal(signal.SIGKILL)
        said += [line.split() for line in process.stdout]
    rows, left, _ = read(top)[0]
    promised = {mark: {words[1] for words in said if words[0] == mark} for mark in "IRC"}
    assert promised["R"] <= {*rows} | promised["C"]
    assert promised["I"] <= {*rows} | {name for name, *_ in left} | promised["C"]


async def test_one_s_own_journal_is_never_adopted(top):
    journal = Journal.open(top, KEY, LOG, reserve_bytes=4_096)
    journal.settle("a", b"row")
    assert read(top) == []
    await journal.close()
    assert len(read(top)) == 1


def test_of_two_adopters_one_gets_it(top):
    left_behind(top)
    for estate in adopt(top, (KEY,), LOG):
        assert list(adopt(top, (KEY,), LOG)) == []
        with child("adopt", str(top)) as other:
            assert other.stdout.read() == ""
            assert other.wait() == 0
        assert estate.foreign == {}
    with child("adopt", str(top)) as other:
        assert len([line for line in other.stdout if line.startswith("R ")]) == 5


def test_many_adopters_at_once_get_each_row_once(top):
    for _ in range(6):
        left_behind(top)
    command = [sys.executable, "-m", "tests.service.audit.journal.child", "adopt", str(top)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    running = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    outputs = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    lines = [line for output in outputs for line in output.splitlines()]
    assert len([line for line in lines if line.startswith("R ")]) == 30
    assert len({line for line in lines if line.startswith("D ")}) == 6
    assert list(top.iterdir()) == []


def test_an_adopter_that_waited_at_a_removed_lock_gets_nothing(top):
    """The lock it opened is no longer where it was found."""
    from service.audit.journal.disk import OsDisk
    from service.audit.journal.ownership import inherit

    writer = left_behind(top)

    class Slow(OsDisk):
        def lock(self, path):
            fd = super().lock(path)
            path.unlink()
            return fd

    assert inherit(Slow(), top / writer) is None


def test_a_folder_made_and_never_locked_is_cleared_away(top):
    folder = top / ("c" * 32)
    folder.mkdir(parents=True)
    for estate in adopt(top, (KEY,), LOG):
        assert list(estate.rows()) == []
        estate.done()
    assert list(top.iterdir()) == []


def wait_for(process: subprocess.Popen[str], line: str) -> None:
    for said in process.stdout:
        if said.strip() == line:
            return
    raise AssertionError(f"it ended before it said {line!r}")
