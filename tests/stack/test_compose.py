"""docker-compose.yml as it stands: sound by the specification, nobody root, every file and variable there is.

Refuses to vouch for what only a daemon can show: that the images are there and come up. The schema is
compose-spec's (Apache-2.0), as compose-go 2.4.9 ships it.
"""

import json
import os
import re
import subprocess
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft7Validator
from opentelemetry.sdk import environment_variables

from config import load
from config.env import KNOWN
from telemetry.stack import versions
from tests.packaging.archive import PROJECT
from tests.packaging.image import stages
from tests.packaging.image import variables as image_variables
from tests.stack.written import ROOT, STACK, read, variables

WRITTEN = read(ROOT / "docker-compose.yml")
SERVICES = WRITTEN["services"]
NAMES = sorted(SERVICES)
SCHEMA = json.loads((ROOT / "tests" / "stack" / "compose-spec.json").read_text())
EXACT = re.compile(r"[a-z0-9./-]+:v?\d+\.\d+(\.\d+)?(-[a-z0-9]+)?")
OWN_VARIABLES = re.compile(r"AGENT_|OTEL_|ANTHROPIC_|DATABASE_URL|LOG_LEVEL")
SECRET = re.compile(r"SECRET|KEY|TOKEN|PASSWORD")


@pytest.fixture(params=NAMES)
def each(request):
    return SERVICES[request.param]


def test_it_is_sound_by_the_specification():
    assert [
        f"{error.json_path}: {error.message}" for error in Draft7Validator(SCHEMA).iter_errors(WRITTEN)
    ] == []


def test_all_that_belongs_to_the_stack_is_in_it():
    told = {"service", "postgres", "redis", "collector", "jaeger", "prometheus", "alertmanager", "grafana"}
    assert set(SERVICES) == told


def test_every_image_is_of_an_exact_version(each):
    lines = each.get("build", {}).get("dockerfile_inline", "") if isinstance(each.get("build"), dict) else ""
    images = [each["image"], *re.findall(r"^FROM (\S+)", lines, re.MULTILINE)]
    assert [image for image in images if not EXACT.fullmatch(image)] == []


def test_versions_are_those_of_the_native_stack():
    inline = SERVICES["collector"]["build"]["dockerfile_inline"]
    assert SERVICES["jaeger"]["image"] == f"jaegertracing/jaeger:{versions.JAEGER}"
    assert SERVICES["prometheus"]["image"] == f"prom/prometheus:v{versions.PROMETHEUS}"
    assert SERVICES["alertmanager"]["image"] == f"prom/alertmanager:v{versions.ALERTMANAGER}"
    assert SERVICES["collector"]["image"] == f"parley-collector:{versions.COLLECTOR}"
    assert f"FROM otel/opentelemetry-collector-contrib:{versions.COLLECTOR} AS" in inline
    assert SERVICES["service"]["image"] == f"parley:{PROJECT['project']['version']}"


def test_nobody_is_root_or_can_become_it(each):
    user = each["user"].split(":")[0]
    assert int(user) > 0
    assert each["cap_drop"] == ["ALL"]
    assert each["security_opt"] == ["no-new-privileges:true"]
    assert not each.get("privileged")


def test_every_file_system_is_read_only_and_there_is_a_place_for_what_passes(each):
    assert each["read_only"] is True
    assert "/tmp" in each["tmpfs"]  # noqa: S108 - a container's own


def test_everybody_says_how_they_are_and_comes_back(each):
    check = each["healthcheck"]
    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)
    assert each["restart"] == "unless-stopped"


def test_the_users_of_our_own_images_are_those_they_were_built_for():
    (user,) = [line.value for line in stages()[-1] if line.name == "USER"]
    assert SERVICES["service"]["user"] == user
    assert f"USER {SERVICES['collector']['user']}" in SERVICES["collector"]["build"]["dockerfile_inline"]


def test_every_mounted_file_is_there_and_cannot_be_written(each):
    for mount in each.get("volumes", ()):
        source, target, *mode = mount.split(":")
        if source.startswith("."):
            assert (ROOT / source).exists(), source
            assert mode == ["ro"]
        else:
            assert source in WRITTEN["volumes"]
        assert target.startswith("/")


def test_every_volume_network_and_secret_is_used():
    used = [service.get("volumes", ()) for service in SERVICES.values()]
    named = {mount.split(":")[0] for mounts in used for mount in mounts if not mount.startswith(".")}
    assert named == set(WRITTEN["volumes"])
    for kind in ("networks", "secrets"):
        assert {name for each in SERVICES.values() for name in each.get(kind, ())} == set(WRITTEN[kind])


def test_ports_are_published_on_the_loopback_only_and_by_who_can_be_reached(each):
    for port in each.get("ports", ()):
        assert port.startswith("127.0.0.1:")
        assert "front" in each["networks"]


def test_data_and_telemetry_cannot_be_reached_from_outside():
    assert {name: bool(each.get("internal")) for name, each in WRITTEN["networks"].items()} == {
        "front": False,
        "data": True,
        "telemetry": True,
    }
    assert {name for name, each in SERVICES.items() if "data" in each["networks"]} == {
        "service",
        "postgres",
        "redis",
    }


def test_whoever_waits_waits_for_somebody_on_the_same_network(each):
    for name, how in each.get("depends_on", {}).items():
        assert set(SERVICES[name]["networks"]) & set(each["networks"])
        assert how["condition"] in {"service_healthy", "service_started"}


def test_the_service_waits_for_its_data_but_not_for_its_telemetry():
    waits = {name: how["condition"] for name, how in SERVICES["service"]["depends_on"].items()}
    assert waits == {
        "postgres": "service_healthy",
        "redis": "service_healthy",
        "collector": "service_started",
    }


def test_every_variable_of_the_service_is_a_setting(each):
    known = KNOWN | {name for name in vars(environment_variables) if name.startswith("OTEL_")}
    given = each.get("environment", {})
    assert {name for name in given if OWN_VARIABLES.match(name)} - known == set()


@pytest.mark.parametrize(
    ("name", "path"), [("collector", ROOT / "otel-collector.yaml"), ("jaeger", STACK / "jaeger.yaml")]
)
def test_every_variable_of_a_configuration_is_in_it(name, path):
    assert set(SERVICES[name]["environment"]) - {"GOMEMLIMIT"} <= set(variables(path))


@pytest.mark.parametrize("name", ["SAMPLING_SHARE", "SAMPLING_SLOW_MS"])
def test_defaults_are_the_configuration_s_own(name):
    own = variables(ROOT / "otel-collector.yaml")[name]
    assert SERVICES["collector"]["environment"][name] == f"${{{name}:-{own}}}"


def test_no_secret_is_in_the_file(each):
    for name, value in each.get("environment", {}).items():
        if SECRET.search(name):
            assert name.endswith("_FILE")
            assert value.removeprefix("/run/secrets/") in each["secrets"]


def test_every_secret_is_a_file_that_git_does_not_see():
    for name, secret in WRITTEN["secrets"].items():
        assert secret == {"file": f"./var/secrets/{name}"}
    assert "var/" in (ROOT / ".gitignore").read_text().split()


def test_the_service_starts_with_what_it_is_given(tmp_path):
    told = started(tmp_path)
    environ = {key: value for key, value in told.items() if OWN_VARIABLES.match(key)}
    settings = load({**image_variables(stages()[-1]), **environ}, None).settings
    assert settings.environment == "production"
    assert settings.secret_key
    assert settings.model.api_key
    assert settings.database_url == "postgresql://parley:0123abcd@postgres:5432/parley"
    assert settings.limits.store == "redis://:0123abcd@redis:6379/0"
    assert told["ARGUMENTS"] == "serve"


def started(folder) -> dict[str, str]:
    """What the entry point runs is told, with secrets of a test and a program of a test."""
    for secret in SERVICES["service"]["secrets"]:
        (folder / secret).write_text("0123abcd\n" if "password" in secret else "0123456789abcdef" * 4)
    program = folder / "parley"
    program.write_text('#!/bin/sh\nARGUMENTS="$*" exec env\n')
    program.chmod(0o755)
    given = SERVICES["service"]["environment"]
    environ = {name: as_compose(value).replace("/run/secrets", str(folder)) for name, value in given.items()}
    shell, flags, script = SERVICES["service"]["entrypoint"]
    script = as_compose(script).replace("/run/secrets", str(folder))
    path = f"{folder}:{os.environ['PATH']}"
    done = subprocess.run(
        [shell, flags, script], env={**environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def as_compose(text: str) -> str:
    """Variables by their defaults, and a dollar for two."""
    return re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", text).replace("$$", "$")


def test_redis_gets_its_password_without_showing_it():
    script = as_compose(SERVICES["redis"]["command"][2])
    assert subprocess.run(["/bin/sh", "-n", "-c", script], check=False).returncode == 0
    assert "noeviction" in script
    assert "$(" not in script.splitlines()[-1]


def test_prometheus_is_configured_as_it_is_natively_but_for_addresses():
    def bare(name):
        lines = (STACK / name).read_text().splitlines()
        return [re.sub(r'"[a-z0-9.]+:(\d+)"', r"\1", line) for line in lines if not line.startswith("#")]

    assert bare("prometheus.yml") == bare("compose/prometheus.yml")


def test_prometheus_asks_containers_that_there_are():
    found = re.findall(r'"([a-z0-9.]+):\d+"', (STACK / "compose" / "prometheus.yml").read_text())
    assert set(found) == {"collector", "jaeger", "prometheus", "alertmanager"}
    assert all("telemetry" in SERVICES[name]["networks"] for name in found)


def test_grafana_looks_at_containers_that_there_are():
    sources = read(STACK / "grafana" / "datasources" / "parley.yml")["datasources"]
    hosts = {urlsplit(source["url"]).hostname for source in sources}
    (links,) = [
        source["jsonData"]["exemplarTraceIdDestinations"]
        for source in sources
        if source["type"] == "prometheus"
    ]
    assert all("telemetry" in SERVICES[host]["networks"] for host in hosts)
    assert {link["datasourceUid"] for link in links} <= {source["uid"] for source in sources}


def test_grafana_finds_its_dashboards_where_they_are_mounted():
    (provider,) = read(STACK / "grafana" / "dashboards" / "parley.yml")["providers"]
    targets = [mount.split(":")[1] for mount in SERVICES["grafana"]["volumes"]]
    assert provider["options"]["path"] in targets
