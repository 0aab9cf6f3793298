"""A fresh database file for each test."""

import pytest

from service.store.sqlite.engine import WalEngine
from service.store.sqlite.location import prepare
from service.store.tables import bind


@pytest.fixture
def path(tmp_path):
    return tmp_path / "var" / "parley.db"


@pytest.fixture
def url(path):
    return f"sqlite:///{path}"


@pytest.fixture
async def engine(path):
    """An engine on a file with one table, `note (text)`."""
    prepare(path)
    made = WalEngine(path, busy_timeout_ms=200)
    bind(made)
    await made.run_ddl("CREATE TABLE note (text TEXT)")
    yield made
    await made.close()
