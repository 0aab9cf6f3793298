"""A fresh database for each test, on each engine; the folders below have one engine each."""

import pytest

from service.store.database import open_database


@pytest.fixture
def url(database_url):
    return database_url


@pytest.fixture
async def database(url):
    opened = await open_database(url)
    yield opened
    await opened.close()
