"""The Dockerfile's commands, run here: what they install starts, answers, keeps to its volume and ends.

Refuses nothing a daemon would add: users, namespaces and the read-only file system are not made.
"""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from signal import Signals

import pytest

from tests.harness.chat import ask
from tests.harness.process import environment
from tests.harness.service import Service
from tests.packaging.archive import ROOT, copy, fetch, stand_in, tracked
from tests.packaging.image import (
    PREFIX,
    SECRET,
    VOLUME,
    command,
    copies,
    health_check,
    one,
    stages,
    variables,
)


@pytest.fixture(scope="module")
def image():
    """The last stage: what runs."""
    return stages()[-1]


@pytest.fixture(scope="module")
def built(image_python, tmp_path_factory):
    """Where the first stage's commands installed the service: run one by one, `/opt/parley` moved."""
    building, place = stages()[0], tmp_path_factory.mktemp("image")
    source, prefix = place / "src", place / "opt"
    source.mkdir()
    path = f"{stand_in(place / 'path', 'python', image_python)}{os.pathsep}{os.environ['PATH']}"
    settings = variables(building) | {"PATH": path, "PIP_NO_COMPILE": "1"}
    del settings["PIP_NO_CACHE_DIR"]  # a layer wants no cache, the registry wants one
    for each in building:
        if each.name == "COPY":
            ((_, wanted, _),) = copies([each])
            copy(ROOT, [name for name in tracked() if name.startswith(tuple(wanted))], source)
        if each.name == "RUN":
            fetch(["/bin/sh", "-ec", each.value.replace(PREFIX, str(prefix))], source, **settings)
    return prefix


@pytest.fixture(scope="module")
def container(built, image, tmp_path_factory):
    """The service as the image starts it, its volume and its address moved."""
    volume = tmp_path_factory.mktemp("volume")
    settings = {name: value.replace(VOLUME, str(volume)) for name, value in variables(image).items()}
    settings |= SECRET | {"AGENT_HOST": "127.0.0.1", "AGENT_PORT": "0"}
    settings["PATH"] = settings["PATH"].replace(PREFIX, str(built))
    with Service(volume, settings, [str(built / "bin" / command(image, "ENTRYPOINT")[0])]) as service:
        yield service


def test_what_only_builds_is_left_behind(built):
    there = {path.name for path in (built / "lib").glob("python3.*/site-packages/*")}
    assert {"service", "telemetry", "config", "litestar"} <= there
    assert there & {"pip", "hatchling", "editables"} == set()


def test_it_answers_in_production_and_prints_no_key(container):
    made = container.cli("keys", "create", "--user", "ann", "--role", "AUDITOR", "--json")
    key = json.loads(made.stdout)["key"]
    assert ask(container, "Hello", key=key).status_code == 200
    assert "API key" not in container.stderr


def test_it_writes_nothing_but_its_volume(container, built):
    before = snapshot(built)
    assert ask(container, "Hello", key="").status_code == 401
    container.cli("migrate")
    assert snapshot(built) == before
    files = [path for path in container.cwd.rglob("*") if path.is_file()]
    assert container.cwd / "parley.db" in files
    assert [path for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


def snapshot(place: Path) -> set[tuple[str, int]]:
    return {(str(path), path.stat().st_mtime_ns) for path in place.rglob("*") if path.is_file()}


def test_the_health_check_tells_a_live_service_from_none(container, image):
    port = container.url.rpartition(":")[2]
    assert checked(image, AGENT_PORT=port) == 0
    assert checked(image, AGENT_PORT=port, http_proxy="http://127.0.0.1:1") == 0
    assert checked(image, AGENT_PORT="1") == 1


def checked(image, **settings: str) -> int:
    name, *arguments = health_check(image)
    assert name == "python"
    program = [sys.executable, *arguments]
    return subprocess.run(program, env=environment(settings), capture_output=True, check=False).returncode


def test_the_health_check_asks_a_route_that_is_live_and_touches_nothing(image):
    assert "'/health/live'" in health_check(image)[-1]


def test_it_ends_on_its_stop_signal_and_starts_again_over_its_volume(container, image):
    container.cli("keys", "create", "--user", "ann", "--role", "AUDITEE")
    before = keys_of(container)
    assert container.stop(Signals[one(image, "STOPSIGNAL")]) == 0
    container.start()
    assert keys_of(container) == before


def keys_of(container):
    """Every key of it, but for when it was used: a stop writes that down."""
    told = json.loads(container.cli("keys", "list", "--json").stdout)
    assert any("ann" in key.values() for key in told)
    return [{name: value for name, value in key.items() if name != "lastUsedAt"} for key in told]
