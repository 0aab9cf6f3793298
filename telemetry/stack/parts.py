"""The programs of the stack, in the order they start: how each is run, where it listens, when it is ready.

Refuses to start anything: these are facts for the launcher.
"""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from config.settings import Settings
from telemetry.stack import build, pages
from telemetry.stack.failure import CannotRun

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
HOST: Final = "127.0.0.1"
BELL_PORT: Final = 9099
"""Where the launcher itself hears of alerts; alertmanager.yml says the same."""
EVERY_ADDRESS: Final = ("0.0.0.0", "::")  # noqa: S104 - recognized, not bound
OTLP: Final = f"http://{HOST}:4317"
NO_PAGES: Final = "/api (`python -m telemetry.stack ui` builds pages)"


class Part(Struct, frozen=True, kw_only=True):
    """One program.

    `ports` are on `host`; `ready` is the path on `ready_port` that answers 200 once it is; `shown` is what
    people are told of it.
    """

    name: str
    command: tuple[str, ...]
    ports: tuple[int, ...]
    host: str = HOST
    ready_port: int
    ready: str
    shown: str
    environ: Mapping[str, str] = {}
    talks: bool = False
    """Whether its words on stderr are for people, and go to the terminal."""


def parts(data: Path, settings: Settings) -> tuple[Part, ...]:
    """All of them; `data` is the folder they may write to.

    Raises:
        CannotRun: one is not installed.
    """
    prometheus = installed("Prometheus", "prometheus", "prometheus")
    debian = "prometheus-alertmanager"
    alertmanager = installed("Alertmanager", debian, debian, "alertmanager")
    return (
        jaeger(),
        collector(data),
        alerts(alertmanager, data),
        metrics(prometheus, data),
        service(settings),
    )


def installed(title: str, package: str, *names: str) -> str:
    """The path of the first of these programs that is there.

    Raises:
        CannotRun: none is; the words name the Debian package.
    """
    for name in names:
        if found := shutil.which(name):
            return found
    raise CannotRun(
        f"{title} is missing: install it (Debian: apt-get install --no-install-recommends {package}), and "
        f"keep the package's own server from its port (systemctl disable --now {package})"
    )


def jaeger() -> Part:
    """Traces: takes what the collector kept, answers who looks for it, with pages where they were built."""
    ui = os.environ.get("JAEGER_UI") or pages.folder()
    return Part(
        name="jaeger",
        command=(str(build.jaeger()), "--config", str(HERE / "jaeger.yaml")),
        ports=(14317, 14318, 16685, 16686, 18888, 14133),
        ready_port=14133,
        ready="/status",
        shown=f"http://{HOST}:16686{'' if ui else NO_PAGES}",
        environ={"JAEGER_UI": ui},
    )


def collector(data: Path) -> Part:
    """Between the service and all others."""
    return Part(
        name="collector",
        command=(str(build.collector()), "--config", str(ROOT / "otel-collector.yaml")),
        ports=(4317, 4318, 8888, 8889, 13133),
        ready_port=13133,
        ready="/",
        shown=f"OTLP on {HOST}:4317 and :4318, metrics on http://{HOST}:8889/metrics",
        # a short wait: on one machine a trace is whole as soon as its root has ended
        environ={"STACK_DIR": str(data), "GOMEMLIMIT": "320MiB", "SAMPLING_ROOT_WAIT": "2s"},
    )


def alerts(program: str, data: Path) -> Part:
    """Groups alerts and tells them; to the launcher, which prints them."""
    return Part(
        name="alertmanager",
        command=(
            program,
            f"--config.file={HERE / 'alertmanager.yml'}",
            f"--storage.path={data / 'alertmanager'}",
            f"--web.listen-address={HOST}:9093",
            f"--web.external-url=http://{HOST}:9093",
            "--cluster.listen-address=",  # else it opens 9094 on every address
        ),
        ports=(9093,),
        ready_port=9093,
        ready="/-/ready",
        shown=f"http://{HOST}:9093/api/v2/alerts",
    )


def metrics(program: str, data: Path) -> Part:
    """Metrics over time, and the rules."""
    return Part(
        name="prometheus",
        command=(
            program,
            f"--config.file={HERE / 'prometheus.yml'}",
            f"--storage.tsdb.path={data / 'prometheus'}",
            "--storage.tsdb.retention.time=15d",
            f"--web.listen-address={HOST}:9090",
            f"--web.external-url=http://{HOST}:9090",
            "--enable-feature=exemplar-storage",
        ),
        ports=(9090,),
        ready_port=9090,
        ready="/-/ready",
        shown=f"http://{HOST}:9090",
    )


def service(settings: Settings) -> Part:
    """The service, as anybody starts it, told where to export to.

    Raises:
        CannotRun: its port is any free one, which nobody could be told of.
    """
    if not settings.port:
        raise CannotRun("AGENT_PORT: the stack needs a port that is known, not 0")
    host = HOST if settings.host in EVERY_ADDRESS else settings.host
    return Part(
        name="service",
        command=(sys.executable, "-m", "service", "serve"),
        host=host,
        ports=(settings.port,),
        ready_port=settings.port,
        ready="/health/ready",
        shown=f"http://{host}:{settings.port}",
        environ={"OTEL_EXPORTER_OTLP_ENDPOINT": OTLP, "OTEL_METRIC_EXPORT_INTERVAL": "5000"},
        talks=True,
    )
