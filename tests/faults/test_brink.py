"""Two hundred clients leave at any moment of an answer: a row each, and who was told the end is answered."""

from tests.conftest import TOLD
from tests.faults.brink import EACH, run

SEED = 1


def test_each_leaves_one_row_and_whoever_was_told_the_end_is_answered(tmp_path, record_property):
    brink, total = run(tmp_path, SEED, EACH)
    record_property(TOLD, f"leaving at any moment: {total}")
    assert total.faults == []
    assert total.left == 3 * EACH == sum(total.outcomes.values())
    assert total.outcomes.keys() == {"answered", "client_gone"}
    assert 0 < total.told < len(brink.told) <= total.left
