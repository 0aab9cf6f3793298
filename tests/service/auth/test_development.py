"""Files that a first start makes: private, kept, and the same for all who start at once."""

import os
import stat
import subprocess
import sys

import pytest

from service.auth.development import keep, root_secret

KEEP = (
    "import sys; from pathlib import Path; from service.auth.development import keep; "
    "sys.stdin.readline(); print(keep(Path(sys.argv[1]), sys.argv[2]))"
)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_only_the_owner_reads_it(tmp_path):
    path = tmp_path / "var" / "file"
    assert keep(path, "one") == "one"
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)


def test_it_is_kept(tmp_path):
    path = tmp_path / "file"
    assert [keep(path, text) for text in ("one", "two")] == ["one", "one"]
    assert path.read_text() == "one"


def test_no_draft_is_left(tmp_path):
    path = tmp_path / "file"
    keep(path, "one")
    keep(path, "two")
    assert list(tmp_path.iterdir()) == [path]


def test_processes_that_start_at_once_agree(tmp_path):
    path = tmp_path / "var" / "file"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", KEEP, str(path), f"text-{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(6)
    ]
    for process in started:  # all are ready now: let them go
        process.stdin.write("\n")
        process.stdin.flush()
    said = {process.communicate(timeout=30)[0].strip() for process in started}
    assert said == {path.read_text()}
    assert said < {f"text-{number}" for number in range(6)}
    assert list(path.parent.iterdir()) == [path]


def test_a_file_edited_by_hand_may_end_in_a_line_break(tmp_path):
    path = tmp_path / "file"
    path.write_text("mine\n")
    assert keep(path, "other") == "mine"


def test_an_empty_file_is_no_secret(tmp_path):
    (tmp_path / "secret-key").write_text("\n")
    with pytest.raises(OSError, match="secret-key is empty"):
        root_secret(tmp_path)


def test_the_secret_is_long_random_and_kept(tmp_path):
    one, again, other = root_secret(tmp_path), root_secret(tmp_path), root_secret(tmp_path / "other")
    assert one == again != other
    assert len(one.reveal()) >= 64
    assert mode(tmp_path / "secret-key") == 0o600
