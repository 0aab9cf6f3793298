"""Services that several walks share, beside the default one: each start costs seconds.

Refuses to be changed by a test: whoever needs other settings starts a service of its own.
"""

from collections.abc import Iterator

import pytest
from msgspec import Struct

from tests.conftest import MANY, SOON
from tests.harness.model_api import ModelApi
from tests.harness.otlp import Receiver
from tests.harness.service import Service

OFF = {
    "AGENT_STREAMING_ENABLED": "false",
    "AGENT_AUDIT_LOGGING_ENABLED": "false",
    "AGENT_RATE_LIMIT_MODE": "off",
    "AGENT_LOG_QUERY": "false",
    "AGENT_LOG_SAMPLE_RATE": "0",
}
"""Every switch that takes something away."""


class Held(Struct, frozen=True):
    """A service whose model begins to answer and falls silent; both may be looked at."""

    service: Service
    model: ModelApi


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with every switch off, exporting nowhere."""
    with Service(tmp_path_factory.mktemp("bare"), OFF) as service:
        yield service


@pytest.fixture(scope="session")
def held(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    """A service that asks a model of the tests' own, exporting to the shared receiver."""
    with ModelApi() as model:
        settings = receiver.settings() | SOON | MANY | model.settings
        with Service(tmp_path_factory.mktemp("held"), settings) as service:
            yield Held(service, model)
