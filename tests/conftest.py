"""The fixtures of walks over the real service: one receiver and one service for all, others on demand.

Refuses nothing but leftovers: whatever a test started is ended with it.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from httpx._config import DEFAULT_TIMEOUT_CONFIG
from hypothesis import HealthCheck, settings

from tests.harness.otlp import Receiver
from tests.harness.postgres import Postgres
from tests.harness.service import PROGRAM, Service
from tests.harness.waiting import PATIENCE

# a slow machine is no failure: no example has a deadline
settings.register_profile("parley", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("parley")
# nor is it one for httpx, which else gives up after 5 s
for each in ("connect", "read", "write", "pool"):
    setattr(DEFAULT_TIMEOUT_CONFIG, each, PATIENCE)

SOON = {
    "OTEL_BSP_SCHEDULE_DELAY": "100",
    "OTEL_BLRP_SCHEDULE_DELAY": "100",
    "OTEL_METRIC_EXPORT_INTERVAL": "500",
}
"""Milliseconds after which a service tells what it has; its defaults would make every test wait."""

MANY = {"AGENT_RATE_LIMIT_ROLES": "AUDITEE=1000"}
"""A limit that the tests sharing one service and its one key do not reach together."""

TOLD = "told"
"""`record_property(TOLD, words)`: what a test counted is said at the end, whichever process ran it."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what tests counted."""
    for report in terminalreporter.getreports("passed"):
        for name, words in report.user_properties:
            if name == TOLD:
                terminalreporter.write_line(str(words))


StartService = Callable[..., Service]
"""`start_service(exporting_to=None, **settings)`: a running service of the test's own."""


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    """The receiver that the shared service exports to."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The PostgreSQL server that tests share; each makes a database of its own. Tests leave it running."""
    with Postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new, empty database: a test that asks for it runs once on each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/var/parley.db"
    return request.getfixturevalue("postgres").database()


@pytest.fixture(scope="session")
def service(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The shared service: simulator, SQLite, high limits, OTLP over HTTP. Tests leave it running."""
    settings = receiver.settings() | SOON | MANY
    with Service(tmp_path_factory.mktemp("service"), settings) as service:
        yield service


@pytest.fixture
def program() -> tuple[str, ...]:
    """The command that `start_service` starts; a module may put another in its place."""
    return PROGRAM


@pytest.fixture
def start_service(
    tmp_path_factory: pytest.TempPathFactory, program: tuple[str, ...]
) -> Iterator[StartService]:
    """Start a service with the settings a test needs, each in a directory of its own.

    With `exporting_to` a receiver, it exports there soon; without, nowhere.
    """
    with ExitStack() as started:

        def start(exporting_to: Receiver | None = None, **settings: str) -> Service:
            exporting = exporting_to.settings() | SOON if exporting_to else {}
            cwd = tmp_path_factory.mktemp("service")
            return started.enter_context(Service(cwd, exporting | settings, program))

        yield start
