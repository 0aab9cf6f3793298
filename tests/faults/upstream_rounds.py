"""The long profile: `python -m tests.faults.upstream_rounds MINUTES`; adds to var/upstream.json.

Refuses to end well where any round, of this run or an earlier one, found something wrong.
"""

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import msgspec
from msgspec import Struct, field

from tests.faults.upstream_round import Cases, closing, judge, play
from tests.faults.upstream_table import FAULTS

RESULTS = Path("var/upstream.json")


class Results(Struct):
    """What all rounds came to; `slowest` is the longest that a connection outlived its turn, in ms."""

    rounds: int = 0
    turns: int = 0
    codes: dict[str, int] = field(default_factory=dict)
    asked_after_content: int = 0
    cut_short: int = 0
    slowest: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def add(self, cases: Cases, wrong: list[str]) -> None:
        """A round is over."""
        self.rounds += 1
        self.turns += len(cases)
        told = Counter(case.heard.told.get("code", "answered") for case in cases.values())
        self.codes = dict(Counter(self.codes) + told)
        for (name, mode), case in cases.items():
            fault = FAULTS[name]
            self.asked_after_content += max(0, len(case.asked) - fault.asks) if fault.heard else 0
            self.cut_short += bool(fault.code) and "code" not in case.heard.told
            self.wrong += [f"{name}, {mode}: {words}" for words in judge(case)]
        self.wrong += wrong
        self.slowest = max(self.slowest, *closing(cases.values()))

    def table(self) -> str:
        """The scoreboard."""
        lines = [
            f"faults x modes        {len(FAULTS)} x 2",
            f"rounds, turns         {self.rounds}, {self.turns}",
            *(f"  {code:20}{number}" for code, number in sorted(self.codes.items())),
            f"asked after content   {self.asked_after_content}",
            f"cut short in silence  {self.cut_short}",
            f"closed at most after  {self.slowest:.0f} ms",
            f"wrong                 {len(self.wrong)}",
            *self.wrong[:50],
        ]
        return "\n".join(lines)


def rounds(minutes: float) -> int:
    """Rounds until the time is over, one at least; 1 where anything was wrong."""
    found = RESULTS.exists()
    results = msgspec.json.decode(RESULTS.read_bytes(), type=Results) if found else Results()
    end = time.monotonic() + minutes * 60
    while True:
        with tempfile.TemporaryDirectory(prefix="parley-upstream-") as folder:
            results.add(*play(Path(folder), FAULTS))
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_bytes(msgspec.json.encode(results))
        if time.monotonic() > end:
            break
    sys.stdout.write(results.table() + "\n")
    return 1 if results.wrong else 0


if __name__ == "__main__":
    sys.exit(rounds(float(sys.argv[1])))
