"""Every route and page by every role for its own, somebody else's and nobody's, on both databases."""

import random

import pytest

from service.web.schema.operations import OPERATIONS
from tests.conftest import TOLD
from tests.harness.service import Service
from tests.hostile.matrix import RULES, WHOSE, Matrix
from tests.hostile.people import SETTINGS
from tests.hostile.routes import ROUTES
from tests.hostile.table import EVERYBODY, OPEN, ROLES, TABLE

SEED = 12


def test_every_operation_has_its_line_and_no_other():
    assert set(TABLE) == {each.id for each in OPERATIONS}
    assert {each.id for each in OPERATIONS if each.open} == OPEN
    assert all(rule.roles <= EVERYBODY for rule in RULES.values())


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def found(request, tmp_path_factory):
    settings = dict(SETTINGS)
    if request.param == "postgresql":
        settings["DATABASE_URL"] = request.getfixturevalue("postgres").database()
    dice = random.Random(SEED)  # noqa: S311 - draws examples
    with Service(tmp_path_factory.mktemp("matrix"), settings) as service, Matrix(service) as matrix:
        tries = list(matrix.tries(dice))
        faults = [fault for one in tries for fault in matrix.faults(one)]
        failed = service.lines(type="request_failed")
        yield request.param, tries, faults + [str(each) for each in failed]


def test_nobody_gets_what_is_not_theirs(found, record_property):
    database, tries, faults = found
    record_property(TOLD, f"matrix, {database}: {len(tries)} tries, {len(faults)} faults")
    assert faults == []
    assert len(tries) == len(ROUTES) * len(ROLES) * 2 * len(WHOSE)
