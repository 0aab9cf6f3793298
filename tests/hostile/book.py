"""What the rounds of `make fuzz` came to, in var/fuzz.json, which adds up over runs, several at once too.

Refuses to forget a fault: its sentences stay in the file until it is removed by hand.
"""

import fcntl
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct, field

PATH = Path("var/fuzz.json")
LONGEST = 4_000
"""Characters that are kept of one fault."""


class Total(Struct):
    """Rounds of one kind, and what was tried in them."""

    rounds: int = 0
    tried: int = 0


class Results(Struct):
    """The file's content, by the kind of round."""

    totals: dict[str, Total] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class Book:
    """The file; each round is in it as soon as it is over."""

    def __init__(self, path: Path = PATH) -> None:
        self._path = path
        self.results = self._read()

    def add(self, kind: str, seed: int, tried: int, faults: Iterable[str]) -> None:
        """A round came to its end; what others added meanwhile stays."""
        self._path.parent.mkdir(exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.results = self._read()
            self._put(kind, seed, tried, faults)

    def _read(self) -> Results:
        if not self._path.exists():
            return Results()
        return msgspec.json.decode(self._path.read_bytes(), type=Results)

    def _put(self, kind: str, seed: int, tried: int, faults: Iterable[str]) -> None:
        total = self.results.totals.setdefault(kind, Total())
        total.rounds += 1
        total.tried += tried
        self.results.faults += [f"{kind}, seed {seed}: {each}"[:LONGEST] for each in faults]
        new = self._path.with_suffix(".new")
        new.write_bytes(msgspec.json.format(msgspec.json.encode(self.results)))
        new.rename(self._path)

    def table(self) -> Iterator[str]:
        """Everything so far, in words."""
        yield f"{'kind':10}{'rounds':>8}{'tried':>10}"
        for kind, total in self.results.totals.items():
            yield f"{kind:10}{total.rounds:>8}{total.tried:>10}"
        yield f"faults: {len(self.results.faults)}"
        yield from (fault[:300] for fault in self.results.faults)
