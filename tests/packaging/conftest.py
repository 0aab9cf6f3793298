"""A wheel of this checkout, and places where it is installed; each is made once.

Refuses the tests' own environment: what is installed there is not what others get.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.need import missing
from tests.packaging.archive import ROOT, build, copy, fetch, tracked


@pytest.fixture(scope="session")
def uv() -> str:
    """uv, which the test environment brings along."""
    beside = Path(sys.executable).parent
    found = shutil.which("uv", path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
    return found or missing("uv is not installed: to install the wheel")


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean copy of the checkout, for whoever changes nothing in it."""
    return copy(ROOT, tracked(), tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="session")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return build(checkout, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installed(uv: str, checkout: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of its own with the locked packages and the wheel; its `bin`."""
    place = tmp_path_factory.mktemp("environment")
    into = [uv, "pip", "install", "-q", "--python", str(place / "bin" / "python")]
    fetch([uv, "venv", "-q", "--clear", "--python", sys.executable, str(place)], checkout)
    fetch([*into, "--require-hashes", "--no-deps", "-r", "requirements.lock"], checkout)
    fetch([*into, "--no-deps", str(wheel)], checkout)
    return place / "bin"


@pytest.fixture(scope="session")
def image_python() -> str:
    """The Python that the image has, where this machine has it too, else the tests' own."""
    own = Path.home().glob(".pyenv/versions/3.13*/bin/python3.13")
    return next(filter(_runs, ["python3.13", *map(str, own)]), sys.executable)


def _runs(python: str) -> bool:
    # a version manager's stand-in is on PATH whether or not its Python may be used
    try:
        return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0
    except OSError:
        return False
