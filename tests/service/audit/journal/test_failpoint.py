import os
import subprocess
import sys
from pathlib import Path

import pytest

from service import failpoint
from service.audit.journal import adopt
from service.failpoint import KILLED, NAMES
from tests.service.audit.journal.child import KEY, LOG, row

ROOT = Path(__file__).parents[4]
LIVING = [name for name in NAMES if name.startswith("journal.")]
DEAD = [name for name in NAMES if name.startswith("estate.")]
LATER = {"journal.folder.made", "journal.folder.locked", "journal.close.before"}
"""Passed once in a life."""
REPEATS = min(2 + int(os.environ.get("PARLEY_STEPS", "0")) // 500, 4)
"""A life passes the rarest place four times."""


def run(mode: str, top: Path, at: str = "") -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PARLEY_FAILPOINT": at}
    command = [sys.executable, "-m", "tests.service.audit.journal.child", mode, str(top)]
    return subprocess.run(
        command, input="\n", env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )


def told(output: str, mark: str) -> list[str]:
    return [line.split()[1] for line in output.splitlines() if line.startswith(f"{mark} ")]


def inherited(top: Path) -> tuple[dict[str, bytes], set[str]]:
    """The rows and the open ids of all estates, which are left as they are."""
    rows, left = {}, set()
    for estate in adopt(top, (KEY,), LOG):
        rows |= {row.id: row.content for batch in estate.rows() for row in batch.rows}
        left |= {entry.id for entry in estate.left()}
        assert not estate.foreign
    return rows, left


def test_there_are_enough_places_to_die():
    assert len(set(NAMES)) == len(NAMES)
    assert len([*LIVING, *DEAD]) >= 18


def test_nothing_happens_unless_it_is_told():
    assert not failpoint._ARMED
    for name in NAMES:
        failpoint.reached(name)
        assert not failpoint.due(name)


@pytest.mark.parametrize("nth", range(1, REPEATS + 1))
@pytest.mark.parametrize("name", LIVING)
def test_a_process_killed_anywhere_leaves_all_it_promised(name, nth, tmp_path):
    if nth > 1 and name in LATER:
        pytest.skip("passed once in a life")
    place = nth if nth == 1 else 7 * nth if "write" in name or "sync" in name else nth
    if "reserve" in name and name != "journal.reserve.made":
        place = 1
    ran = run("write", tmp_path / "top", f"{name}:{place}")
    assert ran.returncode == KILLED, ran.stdout + ran.stderr
    rows, left = inherited(tmp_path / "top")
    committed = set(told(ran.stdout, "C"))
    assert set(told(ran.stdout, "R")) <= rows.keys() | committed
    assert set(told(ran.stdout, "I")) <= rows.keys() | left | committed
    assert not left & rows.keys()
    assert all(content == row(id_) for id_, content in rows.items())


@pytest.mark.parametrize("name", DEAD)
@pytest.mark.parametrize("nth", [1, 3])
def test_an_adopter_killed_anywhere_leaves_all_it_did_not_commit(name, nth, tmp_path):
    top = tmp_path / "top"
    assert run("write", top, "journal.close.before:1").returncode == KILLED
    rows, left = inherited(top)
    place = nth if name in {"estate.batch", "estate.unlink"} else 1
    killed = run("adopt", top, f"{name}:{place}")
    assert killed.returncode == KILLED, killed.stdout + killed.stderr
    again = run("adopt", top)
    assert again.returncode == 0, again.stderr
    assert set(told(killed.stdout, "R")) | set(told(again.stdout, "R")) >= rows.keys()
    assert set(told(killed.stdout, "O")) | set(told(again.stdout, "O")) >= left
    committed = set(told(killed.stdout, "R"))
    assert set(told(again.stdout, "O")) <= left | committed
    assert list(top.iterdir()) == []


def test_a_whole_life_leaves_nothing(tmp_path):
    ran = run("write", tmp_path / "top")
    assert ran.returncode == 0, ran.stderr
    assert told(ran.stdout, "U") == ["refused"]
    assert told(ran.stdout, "T") == ["True"]
    assert set(told(ran.stdout, "R")) <= set(told(ran.stdout, "C"))
    assert list((tmp_path / "top").iterdir()) == []
