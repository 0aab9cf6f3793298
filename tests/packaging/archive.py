"""The project as others get it: copies of the checkout, and what is built from them.

Refuses the work tree itself: a build sees what git would commit, in a place of its own.
"""

import os
import shlex
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.harness.need import missing, need
from tests.harness.process import environment

ROOT = Path(__file__).parents[2]
PACKAGES = ("config", "service", "telemetry")
PROJECT: Mapping[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
VERSION: str = PROJECT["project"]["version"]

NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE")
INSTALLERS = ("PIP_", "UV_")
"""How packages are had on this machine; only what installs inherits it."""


def tracked() -> list[str]:
    """Every path that git has or would add, in git's order; what is ignored and what is gone is not there."""
    git = need("git", why="to tell what belongs to the project")
    if not (ROOT / ".git").exists():
        missing("this is no git checkout")
    command = [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted({path for path in listed.split("\0") if path and (ROOT / path).is_file()})


def files(checkout: Path) -> list[str]:
    """Every file of a copy, relative to it, in the order of their names."""
    return sorted(path.relative_to(checkout).as_posix() for path in checkout.rglob("*") if path.is_file())


def copy(source: Path, paths: Iterable[str], into: Path, *, umask: int = 0o022) -> Path:
    """Lay these files of a directory into a new one, in this order, with this umask and of this moment."""
    for path in paths:
        place = into / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes((source / path).read_bytes())
        executable = 0o111 if os.access(source / path, os.X_OK) else 0
        place.chmod((0o666 | executable) & ~umask)
    return into


def build(checkout: Path, target: str, out: Path, **settings: str) -> Path:
    """Build `wheel` or `sdist` with the locked backend, without network; the archive's path."""
    run([sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)], checkout, **settings)
    (built,) = out.iterdir()
    return built


def run(command: list[str], cwd: Path, **settings: str) -> str:
    """Run a program to its end and return its stdout.

    Raises:
        AssertionError: it failed; with all that it printed.
    """
    done = subprocess.run(
        command, cwd=cwd, env=environment(settings), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def fetch(command: list[str], cwd: Path, **settings: str) -> str:
    """Run a program that may ask a package registry, as this machine asks one; see `run`."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name.upper() in NETWORK or name.startswith(INSTALLERS)
    }
    return run(command, cwd, **(inherited | settings))


def stand_in(folder: Path, name: str, program: str) -> str:
    """Make a folder in which `name` is this program, for the front of a PATH; the folder."""
    folder.mkdir()
    script = folder / name
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(program)} "$@"\n')
    script.chmod(0o755)
    return str(folder)


def names(archive: Path) -> set[str]:
    """The files in a wheel, or in an sdist below its top folder."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return set(wheel.namelist())
    with tarfile.open(archive) as sdist:
        return {entry.name.partition("/")[2] for entry in sdist if entry.isfile()}


def read(wheel: Path, name: str) -> str:
    """A text file of a wheel's own folder, such as `METADATA`."""
    with zipfile.ZipFile(wheel) as opened:
        return opened.read(f"parley-{VERSION}.dist-info/{name}").decode()
