"""A fresh database on a server; outages happen to a server of the test's own."""

import pytest

from tests.harness.postgres import Postgres


@pytest.fixture
def url(postgres):
    return postgres.database()


@pytest.fixture
def server():
    with Postgres() as own:
        yield own
