"""The table of all long profiles reads what each of them writes, and sees their faults."""

import msgspec
import pytest

from tests.faults import brink, endings, overload, results, soak, stack, upstream_rounds
from tests.faults.scoreboard import PROFILES, scores, table
from tests.hostile import book

CLEAN = {
    "faults": results.Results(totals={"lean": results.Total(rounds=2, kills={"random": 3})}),
    "upstream": upstream_rounds.Results(rounds=2, turns=4),
    "endings": endings.Results(rounds=2, closed_ms={300: 1}, tallies={"FIN": endings.Tally(played=7)}),
    "brink": brink.Total(rounds=2, left=9, outcomes={"answered": 9}),
    "overload": [overload.Figures(answers={"200": 5}, rows=5)] * 2,
    "stack": stack.Results(totals={"away": stack.Total(rounds=2, asked=6)}),
    "soak": [soak.Round(seed=1, database="sqlite")] * 2,
    "fuzz": book.Results(totals={"roles": book.Total(rounds=2, tried=9)}),
}
FAULTY = {
    "faults": results.Results(faults=["x"]),
    "upstream": upstream_rounds.Results(wrong=["x"]),
    "endings": endings.Results(faults=["x"]),
    "brink": brink.Total(faults=["x"]),
    "overload": [overload.Figures(answers={"200": 5}, rows=4)],
    "stack": stack.Results(faults=["x"]),
    "soak": [soak.Round(seed=1, database="sqlite", faults=["x"])],
    "fuzz": book.Results(faults=["x"]),
}


def write(folder, found):
    for name, told in found.items():
        (folder / f"{name}.json").write_bytes(msgspec.json.encode(told))


def test_every_profile_is_in_the_table(tmp_path):
    write(tmp_path, CLEAN)
    found = scores(tmp_path)
    assert found.keys() == PROFILES.keys() == CLEAN.keys()
    assert {(score.rounds, score.faults) for score in found.values()} == {(2, 0)}
    lines = list(table(found))
    assert len(lines) == 1 + len(PROFILES)
    assert "1 closed late" in lines[3]
    assert "3 kills" in lines[1]


@pytest.mark.parametrize("name", FAULTY)
def test_a_fault_of_any_is_seen_and_what_never_ran_is_said(tmp_path, name):
    write(tmp_path, {name: FAULTY[name]})
    found = scores(tmp_path)
    assert found[name].faults == 1
    assert sum("never run here" in line for line in table(found)) == len(PROFILES) - 1
