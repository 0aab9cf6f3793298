"""The audit sink over a store of the test's own and a journal in a folder of its own."""

import pytest

from config.settings import Audit, Settings
from service.audit.sink import AuditSink, Equipment
from tests.service.audit.stores import Store

KEYS = (b"k" * 32,)


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def told():
    """The records of turns whose process died."""
    return []


@pytest.fixture
def folder(tmp_path):
    """Where the journals are."""
    return tmp_path / "journal"


@pytest.fixture
def make(folder, told):
    """`make(store, **settings)`: a sink over this store, impatient where nothing else is said."""

    def make(store: Store, *, pauses=(0.001, 0.002), sealing=None, capacity=10_000, **audit) -> AuditSink:
        settings = Settings(audit=Audit(journal_dir=str(folder), **audit))
        sink = AuditSink(settings, pauses=pauses, capacity=capacity)
        sink.equipment = Equipment(rows=store, keys=KEYS, tell=told.append, sealing=sealing)
        return sink

    return make
