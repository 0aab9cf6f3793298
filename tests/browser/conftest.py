"""A real Chromium, Debian's, and services that people visit with it.

Refuses to fetch a browser: where there is none, these tests say so.
"""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.visit import HARD, ISSUING, Visit
from tests.conftest import StartService
from tests.harness.need import need
from tests.harness.service import Service

MANY = {
    "AGENT_RATE_LIMIT_ROLES": ",".join(f"{role}=1000" for role in ("AUDITEE", "AUDITOR", "AUDIT_HEAD", "CFO"))
}

expect.set_options(timeout=HARD)

Visiting = Callable[..., Visit]
"""`visiting(user, role=..., expected=[...], service=...)`: a visit that is looked at when its test ends."""


# by file: while it runs, its loop is the thread's, and no asynchronous test can have another one
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = need("chromium", why="pages are looked at with it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lounge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service that most visits share: each test is another user, with limits of their own."""
    settings = ISSUING | MANY | {"AGENT_TRACE_URL": "http://jaeger.invalid/trace/{traceId}"}
    with Service(tmp_path_factory.mktemp("lounge"), settings) as service:
        yield service


@pytest.fixture
def visiting(chromium: Browser, lounge: Service) -> Iterator[Visiting]:
    opened: list[Visit] = []

    def visit(user: str | None, *arguments: str, service: Service = lounge, **options: object) -> Visit:
        opened.append(Visit(chromium, service, user, *arguments, **options))
        return opened[-1]

    yield visit
    for each in opened:
        each.context.close()


@pytest.fixture
def start_visited(start_service: StartService) -> StartService:
    """Start a service of the test's own that takes the cookies of visitors."""
    return lambda **settings: start_service(**ISSUING, **settings)
