"""Every place where a crash can be rehearsed is in the program, and every one is rehearsed."""

import re
from collections import Counter
from pathlib import Path

from service import failpoint
from tests.faults.campaign import kinds
from tests.faults.lives import REHEARSED, UNPASSED, Lives
from tests.faults.test_disk_full import PLACES

SERVICE = Path(failpoint.__file__).parent
PASSED = re.compile(r"""failpoint\.(?:reached|due)\("([^"]+)"\)""")


def test_each_name_is_a_place_of_the_program():
    places = {name for path in SERVICE.rglob("*.py") for name in PASSED.findall(path.read_text())}
    assert places == set(failpoint.NAMES)
    assert len(failpoint.NAMES) >= 25


def test_each_place_is_in_a_plan_that_is_long_enough(tmp_path):
    lives = Lives(tmp_path, "sqlite:///none", seed=1)
    planned = Counter(kinds(lives.random, 3 * len(REHEARSED)))
    assert set(REHEARSED) <= planned.keys()
    assert {f"journal.reserve.{place}" for place in PLACES} == UNPASSED
