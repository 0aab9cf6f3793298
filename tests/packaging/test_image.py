"""The Dockerfile as it stands: what it copies, installs, sets and runs is what the project has.

Refuses to vouch for what only a daemon can show: that the base image is there.
"""

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from config import SettingsError, load
from config.env import KNOWN
from service.app import leaving
from service.cli import commands, serve
from tests.packaging.archive import PROJECT, ROOT, tracked
from tests.packaging.image import (
    IMAGE,
    PREFIX,
    SECRET,
    VOLUME,
    command,
    copies,
    one,
    stages,
    values,
    variables,
)

STOP_SECONDS = 10
"""What `docker stop` gives a container unless it is told otherwise."""
PLATFORMS = ("x86_64", "aarch64")
LOCKED = r"^([^\s#=]+)==[^\s;]+(?: ; (.+?))?(?: \\)?$"
"""A line of the lock: a name, and where it is wanted at all."""


@pytest.fixture(scope="module")
def image():
    """The last stage: what runs."""
    return stages()[-1]


@pytest.fixture(scope="module")
def building():
    """The first stage: what is left behind."""
    return stages()[0]


@pytest.fixture(scope="module")
def python():
    """The version of Python in the image, as two numbers."""
    return tuple(map(int, IMAGE.fullmatch(stages()[0][0].value)["python"].split(".")[:2]))


def test_there_are_two_stages_on_one_image_by_version_and_digest():
    found = [IMAGE.fullmatch(stage[0].value) for stage in stages()]
    assert all(found)
    assert [each["name"] for each in found] == ["build", None]
    assert len({(each["python"], each["digest"]) for each in found}) == 1


def test_its_python_is_one_the_project_runs_on():
    found = IMAGE.fullmatch(stages()[-1][0].value)
    assert found["python"] in SpecifierSet(PROJECT["project"]["requires-python"])


def test_only_known_instructions_are_used():
    allowed = {"FROM", "ENV", "WORKDIR", "COPY", "RUN", "LABEL", "VOLUME", "USER", "EXPOSE"}
    allowed |= {"STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert {each.name for stage in stages() for each in stage} <= allowed


def test_every_source_is_there_and_belongs_to_the_project(building):
    known = tracked()
    sources = [source for stage, found, _ in copies(building) for source in found if stage is None]
    assert sources
    for source in sources:
        assert any(path == source or path.startswith(f"{source}/") for path in known), source


def test_the_last_stage_takes_only_what_was_installed(image):
    assert list(copies(image)) == [("build", [PREFIX], PREFIX)]


def test_the_context_is_what_is_copied_and_nothing_else(building):
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    sources = {source for _, found, _ in copies(building) for source in found}
    exceptions = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert lines[0] == "*"
    assert exceptions == sources
    assert lines[1 + len(exceptions) :] == ["**/__pycache__", "**/*.py[co]"]


def test_everything_is_installed_by_its_hash_and_nothing_is_compiled(building):
    installs = [part for run in values(building, "RUN") for part in run.split("&&") if "install" in part]
    locked, own, removed = (shlex.split(part) for part in installs)
    assert {"--require-hashes", "--only-binary=:all:", "requirements.lock"} <= set(locked)
    assert {"--no-deps", "--no-build-isolation"} <= set(own)
    assert removed[3:] == ["uninstall", "--yes", "hatchling", "editables", "pip"]


@pytest.mark.parametrize("machine", PLATFORMS)
def test_every_locked_package_has_a_wheel_for_the_image(machine, python):
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    packages = {package["name"]: package for package in lock["package"]}
    lines = re.findall(LOCKED, (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    wanted = [
        name for name, marker in lines if not marker or Marker(marker).evaluate({"sys_platform": "linux"})
    ]
    usable = tags(python, machine)
    missing = [name for name in wanted if not fits(packages[name], usable)]
    assert len(wanted) > 50
    assert missing == []


def tags(python: tuple[int, int], machine: str) -> frozenset[Tag]:
    """What an interpreter in a Debian 13 image of this machine can install."""
    manylinux = [f"manylinux_2_{minor}_{machine}" for minor in range(41, 16, -1)]
    platforms = [*manylinux, f"manylinux2014_{machine}", f"linux_{machine}"]
    interpreter = f"cp{python[0]}{python[1]}"
    return frozenset(
        [*cpython_tags(python, platforms=platforms), *compatible_tags(python, interpreter, platforms)]
    )


def fits(package: dict, usable: frozenset[Tag]) -> bool:
    names = [wheel["url"].rpartition("/")[2] for wheel in package.get("wheels", ())]
    return any(parse_wheel_filename(name)[3] & usable for name in names)


def test_every_variable_is_a_setting_or_of_python(image):
    assert set(variables(image)) - KNOWN == {"PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}


def test_no_secret_is_in_it():
    secrets = re.compile(r"SECRET|KEY|TOKEN|PASSWORD")
    assert [name for stage in stages() for name in variables(stage) if secrets.search(name)] == []


def test_its_settings_are_those_of_production_on_all_addresses(image):
    settings = load(variables(image) | SECRET, None).settings
    assert (settings.environment, settings.host, settings.port) == ("production", "0.0.0.0", 3005)  # noqa: S104 - a container's own


def test_it_does_not_start_without_a_secret_and_a_model(image):
    with pytest.raises(SettingsError) as caught:
        load(variables(image), None)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "AGENT_SECRET_KEY",
        "ANTHROPIC_API_KEY",
    ]


def test_all_state_is_in_the_volume(image):
    settings = load(variables(image) | SECRET, None).settings
    assert (one(image, "VOLUME"), one(image, "WORKDIR")) == (VOLUME, VOLUME)
    assert Path(settings.database_url.removeprefix("sqlite:///")).parent == Path(VOLUME)
    assert Path(settings.audit.journal_dir).parent == Path(VOLUME)


def test_its_user_is_not_root_and_owns_only_the_volume(image):
    user, group = map(int, one(image, "USER").split(":"))
    made = one(image, "RUN")
    assert user >= 1000
    assert f"--gid {group} parley" in made
    assert f"--uid {user} --gid parley" in made
    assert f"--owner=parley --group=parley --mode=0700 {VOLUME}" in made
    assert [each.name for each in image].index("USER") > [each.name for each in image].index("RUN")


def test_it_runs_a_command_that_there_is(image):
    entry = command(image, "ENTRYPOINT")
    assert entry == list(PROJECT["project"]["scripts"])
    assert commands.parser().parse_args(command(image, "CMD")).run is serve.run


def test_its_path_begins_with_what_was_installed(image):
    assert variables(image)["PATH"].split(":")[0] == f"{PREFIX}/bin"


def test_its_port_is_the_one_it_listens_on(image):
    assert one(image, "EXPOSE") == variables(image)["AGENT_PORT"]


def test_it_ends_by_a_signal_the_service_hears_and_in_time(image):
    grace = int(variables(image)["AGENT_SHUTDOWN_GRACE_MS"]) / 1000
    assert one(image, "STOPSIGNAL") == "SIGTERM"
    assert grace + leaving.REST < STOP_SECONDS


@pytest.mark.parametrize("stage", [0, 1])
def test_the_shell_understands_every_run(stage):
    for text in values(stages()[stage], "RUN"):
        assert subprocess.run(["/bin/sh", "-n", "-c", text], check=False).returncode == 0, text
