"""Programs that others wrote, out of npm's registry, each pinned by a lock.

Refuses to install one twice: it is kept in the cache by the hash of its recipe, whoever of several is first.
"""

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from telemetry.stack.build import cache
from tests.harness.need import missing, need

NODE = 20
"""The oldest Node that they take."""
PACKAGE, LOCK = "package.json", "package-lock.json"


def installed(name: str, recipe: Path, own: Sequence[str] = (), *, why: str) -> Path:
    """The folder in which a recipe is installed; ends the test where it cannot be had.

    Args:
        name: what its folder in the cache begins with.
        recipe: the folder with its package.json and lock.
        own: further files of the recipe that belong beside them.
        why: what it is needed for, where Node or npm is not there.
    """
    need("node", why=f"runs {why}")
    need("npm", why=f"installs {why}")
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(said.removeprefix("v").partition(".")[0]) < NODE:
        missing(f"node is {said.strip()}, older than {NODE}")
    parts = [(recipe / each).read_bytes() for each in (LOCK, *own)]
    folder = cache() / f"{name}-{hashlib.sha256(b''.join(parts)).hexdigest()[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            _install(folder, recipe, (PACKAGE, LOCK, *own))
    return folder


def _install(folder: Path, recipe: Path, files: Sequence[str]) -> None:
    for each in files:
        shutil.copy(recipe / each, folder / each)
    words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        missing(f"npm ci failed: {done.stderr.strip()[-500:]}")
    (folder / "done").touch()
