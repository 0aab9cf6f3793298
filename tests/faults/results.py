"""What all rounds so far came to, in a file that adds up over runs, and the table of it.

Refuses to forget a fault: its sentences stay in the file until it is removed by hand.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock

import msgspec
from msgspec import Struct, field

from tests.faults.verdict import Verdict

COUNTS = (
    *("asked", "received", "rows", "aside", "summed", "interrupted", "unsaid"),
    *("lost", "doubled", "strangers"),
)
"""Figures of a verdict that add up."""


class Total(Struct):
    """The rounds of one name: how many, their figures, and their kills by kind."""

    rounds: int = 0
    figures: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    kills: dict[str, int] = field(default_factory=dict)


class Results(Struct):
    """The file's content, by the name of a round."""

    totals: dict[str, Total] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class Book:
    """The file; each round is in it as soon as it is judged. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock()
        self.results = (
            msgspec.json.decode(path.read_bytes(), type=Results) if path.exists() else Results()
        )  # fmt: skip

    def add(self, name: str, verdict: Verdict) -> None:
        """A round came to its end."""
        with self._lock:
            total = self.results.totals.setdefault(name, Total())
            total.rounds += 1
            for each in COUNTS:
                total.figures[each] += getattr(verdict, each)
            for kind, number in verdict.kills.items():
                total.kills[kind] = total.kills.get(kind, 0) + number
            self._write()

    def fault(self, sentence: str) -> None:
        """A round found something, or did not come to its end."""
        with self._lock:
            self.results.faults.append(sentence)
            self._write()

    def table(self) -> str:
        """Everything so far, in words."""
        return "\n".join(_table(self.results))

    def _write(self) -> None:
        self._path.parent.mkdir(exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_bytes(msgspec.json.format(msgspec.json.encode(self.results)))
        new.rename(self._path)


def _table(results: Results) -> Iterator[str]:
    totals = results.totals
    yield _line("", totals)
    yield _line("rounds", [total.rounds for total in totals.values()])
    yield _line("kills", [sum(total.kills.values()) for total in totals.values()])
    for figure in COUNTS:
        yield _line(figure, [total.figures[figure] for total in totals.values()])
    for kind in sorted({kind for total in totals.values() for kind in total.kills}):
        yield _line(f"  {kind}", [total.kills.get(kind, 0) for total in totals.values()])
    yield f"faults: {len(results.faults)}"
    yield from (fault[:300] for fault in results.faults)


def _line(name: str, values: Iterable[object]) -> str:
    return f"{name:28}" + "".join(f"{value!s:>20}" for value in values)
