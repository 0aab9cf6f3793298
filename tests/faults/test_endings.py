"""Twenty ways in which a query ends, ten times each: a row, a root span and a settled cost each time."""

import pytest

from tests.conftest import TOLD
from tests.faults.endings import COUNTS, EACH, Results, run, table
from tests.faults.partings import PARTINGS


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What all of them came to, played beside each other in any order."""
    results = Results()
    run(tmp_path_factory.mktemp("endings"), PARTINGS, EACH, results)
    return results


@pytest.mark.parametrize("parting", PARTINGS, ids=lambda parting: parting.name)
def test_each_leaves_one_row_one_span_and_one_settled_cost(results, parting):
    tally = results.tallies[parting.name]
    assert tally.played >= EACH
    assert {getattr(tally, what) for what in COUNTS} == {tally.played}, tally
    assert set(tally.outcomes) <= set(parting.outcomes)


def test_nothing_is_left_and_nothing_was_wrong(results, record_property):
    record_property(TOLD, table(results))
    assert results.faults == [], table(results)
    assert not any(results.left.values())
    assert len(results.left) == 4
