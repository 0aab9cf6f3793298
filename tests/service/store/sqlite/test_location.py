import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from service.errors import DatabaseError
from service.store.sqlite.location import path_of, prepare


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_three_slashes_are_relative_to_the_working_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert path_of("sqlite:///var/parley.db") == tmp_path / "var" / "parley.db"


def test_four_slashes_are_absolute():
    assert path_of("sqlite:////srv/parley.db") == Path("/srv/parley.db")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "parley.db",
        ":memory:",
        "sqlite:",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///var/",
        "sqlite://host/parley.db",
        "sqlite:///parley.db?mode=ro",
        "sqlite:///parley.db#part",
        "sqlite:///par\0ley.db",
        "SQLITE:///parley.db",
        "postgresql://parley:secret@localhost/parley",
    ],
)
def test_other_urls_are_refused_without_repeating_them(url):
    with pytest.raises(DatabaseError) as caught:
        path_of(url)
    assert caught.value.detail.startswith("DATABASE_URL must be sqlite:///")
    assert "secret" not in caught.value.detail


def test_directory_and_file_are_made_for_the_owner_alone(path):
    prepare(path)
    assert (mode_of(path.parent), mode_of(path)) == (0o700, 0o600)


def test_an_existing_file_keeps_its_content_and_mode(path):
    path.parent.mkdir(mode=0o750)
    path.write_bytes(b"kept")
    path.chmod(0o640)
    prepare(path)
    assert (path.read_bytes(), mode_of(path), mode_of(path.parent)) == (b"kept", 0o640, 0o750)


def test_a_directory_as_file_is_refused(path):
    path.mkdir(parents=True)
    with pytest.raises(DatabaseError, match=r"cannot be opened: Is a directory"):
        prepare(path)


def test_a_file_as_directory_is_refused(path):
    path.parent.write_bytes(b"")
    with pytest.raises(DatabaseError, match=r"cannot be opened: File exists"):
        prepare(path)


def test_a_pipe_is_refused_and_does_not_block(path):
    path.parent.mkdir()
    os.mkfifo(path)
    with pytest.raises(DatabaseError, match="not a regular file"):
        prepare(path)


def test_a_device_is_refused():
    with pytest.raises(DatabaseError, match="not a regular file"):
        prepare(Path("/dev/null"))


def test_a_directory_without_permission_is_refused(tmp_path):
    program = """
import os, sys
from service.errors import DatabaseError
from service.store.sqlite.location import prepare
from pathlib import Path
os.chdir(sys.argv[1])
if os.getuid() == 0:
    os.setgid(65534), os.setuid(65534)
try:
    prepare(Path("parley.db"))
except DatabaseError as error:
    print(error.detail)
"""
    tmp_path.chmod(0o555)
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True
    )
    assert done.stdout == "The database file cannot be opened: Permission denied.\n"
