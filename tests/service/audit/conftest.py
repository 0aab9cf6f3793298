"""The audit sink over a store of the test's own."""

import pytest

from config.settings import Settings
from service.audit.sink import AuditSink
from tests.service.audit.stores import Store


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def make():
    """`make(store, **bounds)`: a sink over this store, impatient where nothing else is said."""

    def make(store: Store, *, pauses=(0.001, 0.002), **bounds) -> AuditSink:
        sink = AuditSink(Settings(), pauses=pauses, **bounds)
        sink.rows = store
        return sink

    return make
