"""The calculation of many replicas: it multiplies what it says."""

from pathlib import Path

import pytest

from tests.bench.scale import ALL, TURNS, ceiling, lines

README = Path("README.md")


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.name)
def test_at_its_ceiling_a_part_is_full(each):
    assert each.load(1, TURNS) * ceiling(each, TURNS) == pytest.approx(1)
    assert each.load(100, TURNS) == pytest.approx(100 * TURNS * each.a_turn / each.a_second)


def test_readme_has_the_same_ceilings():
    section = README.read_text().partition("### Many replicas")[2].partition("\n#")[0]
    told = [line.split("|")[3].strip() for line in section.splitlines() if line.startswith("|")][2:]
    assert sorted(map(int, told)) == sorted(round(ceiling(each, TURNS)) for each in ALL)


def test_the_table_says_what_is_calculated_and_where_units_were_measured():
    said = "\n".join(lines(TURNS))
    assert said.startswith("calculated")
    assert all(each.measured in said and each.then in said for each in ALL)
