"""What all long profiles found so far, as one table: `make scoreboard`.

Refuses to count again: it reads the files that the profiles add up in; 1 where any of them has a fault.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

FOLDER = Path("var")


class Score(Struct, frozen=True):
    """One profile: its rounds, what was counted in them, and its faults."""

    rounds: int
    counted: str
    faults: int


def _kills(found: Any) -> Score:
    totals = found["totals"].values()
    figures = {
        what: sum(each["figures"].get(what, 0) for each in totals) for what in ("received", "lost", "doubled")
    }
    kills = sum(sum(each["kills"].values()) for each in totals)
    counted = f"{kills} kills, {figures['received']} turns heard of, {figures['lost']} lost, "
    return Score(
        sum(each["rounds"] for each in totals), f"{counted}{figures['doubled']} doubled", len(found["faults"])
    )


def _upstream(found: Any) -> Score:
    counted = (
        f"{found['turns']} turns, {found['asked_after_content']} asked again after content, "
        f"{found['cut_short']} cut short in silence"
    )
    return Score(found["rounds"], counted, len(found["wrong"]))


def _endings(found: Any) -> Score:
    tallies = found["tallies"].values()
    sums = {what: sum(each[what] for each in tallies) for what in ("played", "rows", "spans", "settled")}
    late = sum(number for ms, number in found["closed_ms"].items() if int(ms) > 250)
    counted = f"{_words(sums)}; {sum(found['left'].values())} left, {late} closed late"
    return Score(found["rounds"], counted, len(found["faults"]))


def _brink(found: Any) -> Score:
    counted = f"{found['left']} left, {found['told']} of them told the end, {_words(found['outcomes'])}"
    return Score(found["rounds"], counted, len(found["faults"]))


def _overload(found: Any) -> Score:
    asked = sum(sum(each["answers"].values()) for each in found)
    answered = sum(each["answers"].get("200", 0) for each in found)
    rows = sum(each["rows"] for each in found)
    lost = sum(sum(each["answers"].values()) != each["rows"] for each in found)
    return Score(len(found), f"{asked} asked, {answered} answered, {rows} rows", lost)


def _stack(found: Any) -> Score:
    totals = found["totals"].values()
    sums = {what: sum(each[what] for each in totals) for what in ("asked", "promised", "kept")}
    return Score(sum(each["rounds"] for each in totals), f"{_words(sums)} traces", len(found["faults"]))


def _soak(found: Any) -> Score:
    names = ("asked", "passed", "heard", "rows", "spans")
    sums = {what: sum(each["account"][what] for each in found) for what in names}
    seconds = sum(each["seconds"] for each in found)
    counted = f"{seconds / 60:.0f} minutes, {_words(sums)}"
    return Score(len(found), counted, sum(len(each["faults"]) for each in found))


def _fuzz(found: Any) -> Score:
    totals = found["totals"].items()
    counted = _words({kind: total["tried"] for kind, total in totals})
    return Score(sum(total["rounds"] for _, total in totals), counted, len(found["faults"]))


PROFILES: Mapping[str, Callable[[Any], Score]] = {
    "faults": _kills,
    "upstream": _upstream,
    "endings": _endings,
    "brink": _brink,
    "overload": _overload,
    "stack": _stack,
    "soak": _soak,
    "fuzz": _fuzz,
}
"""By the name of the file, how it is read."""


def _words(sums: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {what}" for what, number in sums.items())


def scores(folder: Path = FOLDER) -> dict[str, Score | None]:
    """Every profile; None for one that never ran here."""
    files = {name: folder / f"{name}.json" for name in PROFILES}
    return {
        name: PROFILES[name](json.loads(file.read_bytes())) if file.exists() else None
        for name, file in files.items()
    }


def table(found: Mapping[str, Score | None]) -> Iterator[str]:
    """In words, a line each."""
    yield f"{'profile':10}{'rounds':>7}{'faults':>7}  counted"
    for name, score in found.items():
        if score:
            yield f"{name:10}{score.rounds:>7}{score.faults:>7}  {score.counted}"
        else:
            yield f"{name:10}{'-':>7}{'-':>7}  never run here"


def main() -> int:
    """Print it."""
    found = scores()
    sys.stdout.write("\n".join(table(found)) + "\n")
    return 1 if any(score and score.faults for score in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
