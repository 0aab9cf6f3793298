"""README's ways of installing: each command run as it is written there, or read where it needs Docker."""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from config.env import KNOWN
from service.cli import commands
from tests.harness.need import missing
from tests.packaging.archive import ROOT, VERSION, copy, fetch, files, stand_in
from tests.packaging.image import one, stages

CACHE = str(Path.home() / ".cache" / "pip")
FENCE = re.compile(r"^### (\w+)\n(?:(?!#)[^\n]*\n)*?```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def ways() -> dict[str, str]:
    """The commands under each heading of README's section Installing."""
    _, _, rest = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Installing\n")
    section = rest.partition("\n## ")[0]
    return dict(FENCE.findall(section)) or missing("README.md has no section Installing")


@pytest.fixture
def docker(ways) -> list[list[str]]:
    """The commands that are Docker's, as words."""
    lines = map(shlex.split, ways["Container"].splitlines())
    return [words[1:] for words in lines if words[0] == "docker"]


def test_these_are_the_ways(ways):
    assert list(ways) == ["uv", "pip", "Container"]


def test_uv_installs_it(ways, uv, checkout, wheel, tmp_path):
    there = copy(checkout, files(checkout), tmp_path / "checkout")
    path = f"{tmp_path / 'tool'}:{Path(uv).parent}:/usr/bin:/bin"
    places = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "tool")}
    assert told(ways["uv"], there, PATH=path, **places) == f"parley {VERSION}"
    (built,) = (there / "dist").glob("*.whl")
    assert built.read_bytes() == wheel.read_bytes()


def test_pip_installs_it(ways, checkout, image_python, tmp_path):
    there = copy(checkout, files(checkout), tmp_path / "checkout")
    home, path = tmp_path / "home", stand_in(tmp_path / "path", "python3", image_python)
    settings = {"HOME": str(home), "PATH": f"{path}:/usr/bin:/bin", "PIP_CACHE_DIR": CACHE}
    assert told(ways["pip"], there, PIP_NO_COMPILE="1", **settings) == f"parley {VERSION}"
    installed = (home / ".local/share/parley/lib").glob("python3.*/site-packages/service/agent/prices.toml")
    assert len(list(installed)) == 1


def told(commands: str, checkout: Path, **settings: str) -> str:
    """The last line that a block of commands prints, run by a shell that stops at the first failure."""
    return fetch(["/bin/sh", "-ec", commands], checkout, **settings).splitlines()[-1]


def test_the_image_that_is_run_is_the_one_that_is_built(docker):
    build, run, execute = docker
    assert build == ["build", "--tag", "parley", "."]
    assert (run[0], run[-1]) == ("run", "parley")
    assert execute[:2] == ["exec", run[run.index("--name") + 1]]


def test_the_container_is_run_as_the_image_expects(docker):
    image, run = stages()[-1], docker[1]
    given = dict(pairwise(run))
    assert given["--publish"].split(":")[-2:] == [one(image, "EXPOSE")] * 2
    assert given["--publish"].startswith("127.0.0.1:")
    assert given["--volume"].partition(":")[2] == one(image, "VOLUME")
    assert "--read-only" in run
    assert given["--cap-drop"] == "ALL"


def test_the_container_is_given_every_secret_it_needs(ways, docker):
    run = docker[1]
    written = re.findall(r'echo "(\w+)=\$.+>>? (\S+?)\)?$', ways["Container"], re.MULTILINE)
    assert [name for name, _ in written] == ["AGENT_SECRET_KEY", "ANTHROPIC_API_KEY"]
    assert {name for name, _ in written} <= KNOWN
    assert {file for _, file in written} == {run[run.index("--env-file") + 1]}


def test_the_command_in_the_container_is_one_that_there_is(docker):
    entry, *arguments = docker[2][2:]
    assert entry == "parley"
    given = commands.parser().parse_args(arguments)
    assert (given.user, given.role) == ("ann", "AUDITOR")
