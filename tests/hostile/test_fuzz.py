"""The short profile of `make fuzz`: at least 2,000 cases of one seed."""

import pytest

from tests.conftest import TOLD
from tests.harness.service import Service
from tests.hostile.fuzzing import ASKER, OPEN, fuzz
from tests.hostile.reasons import spared

SEED, EXAMPLES, LEAST = 12, 60, 2_000


def test_no_case_breaks_the_service_or_what_is_said_of_it(tmp_path, record_property):
    (tmp_path / "service").mkdir()
    with Service(tmp_path / "service", OPEN) as service:
        found = fuzz(service, SEED, EXAMPLES, tmp_path)
        assert service.stop() == 0
    record_property(TOLD, f"fuzz: {found.cases} cases, {len(found.faults)} faults")
    assert "\n".join(found.faults) == ""
    assert found.cases >= LEAST


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"user": ASKER, "keys": True}, {"user": "somebody.else", "keys": True}),
        ({"token": "0a" * 16}, {"token": "somebody.else"}),
        ({"token": "0a" * 17, "user": "ann"}, {"token": "0a" * 17, "user": "ann"}),
        ({"token": 7}, {"token": 7}),
    ],
)
def test_the_asker_ends_no_token_of_its_own(body, sent):
    assert spared(body) == sent
