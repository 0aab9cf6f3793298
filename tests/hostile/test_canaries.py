"""A word in every place that takes one: it is found where the contract puts it, and nowhere else."""

import pytest

from tests.conftest import SOON, TOLD
from tests.harness.otlp import Receiver
from tests.harness.service import Service
from tests.hostile.canaries import SETTINGS, Canaries, counted
from tests.hostile.places import PLACES

ROUNDS = 8
BELONG = ("answers", "own", "html", "others", "lines", "rows")


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_no_word_is_where_it_does_not_belong(tmp_path, record_property, request, database):
    settings = SETTINGS | SOON
    if database == "postgresql":
        settings |= {"DATABASE_URL": request.getfixturevalue("postgres").database()}
    with Receiver() as receiver, Service(tmp_path, settings | receiver.settings()) as service:
        canaries = Canaries(service)
        sent = canaries.fly(ROUNDS)
        assert service.stop() == 0
        strays = canaries.strays(receiver)
        found = counted(canaries, receiver)
    said = f"{len(PLACES)} places, {sent} requests, {len(strays)} strays"
    record_property(TOLD, f"canaries, {database}: {said}")
    assert len(PLACES) == 133
    assert strays == {}
    kept = ("files",) if database == "sqlite" else ()  # PostgreSQL's are its own
    assert all(found[sink] for sink in (*BELONG, *kept)), found
