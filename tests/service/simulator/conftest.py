"""One simulator on a real socket for all tests here, and the real SDK to ask it.

Refuses retries: each test sees the first answer.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
from anthropic import AsyncAnthropic

from service.simulator import Simulator, build
from tests.upstream import serve


@pytest.fixture(scope="session")
def simulator() -> Simulator:
    """The simulator that `base_url` leads to."""
    return build()


@pytest.fixture(scope="session")
def base_url(simulator: Simulator) -> Iterator[str]:
    """Where the simulator listens."""
    with serve(simulator) as url:
        yield url


@pytest.fixture
async def client(base_url: str) -> AsyncIterator[AsyncAnthropic]:
    """The SDK, as the service builds it."""
    async with AsyncAnthropic(
        api_key="any", base_url=base_url, max_retries=0, timeout=30, open_telemetry=False
    ) as client:
        yield client
