"""Rows whose chain does not follow from the row before: what was done there, judged among themselves.

Refuses to look far: a row's true predecessor is sought among those shortly before it and those that broke
near it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from service.audit.verification.report import Findings, Kind
from service.seal.leaf import chain_hash

MOST_BREAKS = 1_000
"""Breaks that are judged; further ones are only counted."""

WINDOW = 8
"""Entries before a break that are remembered."""

NEAR = 32
"""Breaks before and after one among which its predecessor is sought."""


class Entry(Struct, frozen=True):
    """A place in the log: its index, its event, its leaf, and the chain stored with it."""

    index: int
    id: Any
    leaf: bytes
    chain: bytes


class Break(Struct):
    """An entry that does not link; `before` are the entries in front of it, the nearest last."""

    entry: Entry
    before: tuple[Entry, ...]
    kind: Kind | None = None

    def follows(self, chain: bytes) -> bool:
        """Whether it links after this chain."""
        return chain_hash(chain, self.entry.leaf) == self.entry.chain


class Breaks:
    """Collects breaks and judges them at the end, when what stands behind them is known too."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._all: list[Break] = []

    def add(self, entry: Entry, before: Sequence[Entry]) -> Break:
        """Note an entry that does not link."""
        broken = Break(entry, tuple(before))
        if len(self._all) < MOST_BREAKS:
            self._all.append(broken)
        else:
            self._tell(broken, Kind.ALTERED, "The row does not link to the one before.")
        return broken

    def judge(self) -> None:
        """Tell each cause once."""
        for broken in self._all:
            if broken.kind is Kind.INSERTED:
                self._tell(broken, Kind.INSERTED, "The row stands where another does.")
        self._all = [each for each in self._all if each.kind is None]
        found = [self._predecessor(at) for at in range(len(self._all))]
        moved = {each.entry.index for each, before in zip(self._all, found, strict=True) if before}
        groups = Groups(len(self._all))
        for at, before in enumerate(found):
            if before:
                self._place(at, before, moved, groups)
        for members in groups.all():
            self._tell_group(members, found)

    def _place(self, at: int, before: bytes, moved: set[int], groups: "Groups") -> None:
        """Settle a break whose predecessor was found: rows were put between, or it was moved."""
        between = self._between(self._all[at], before)
        if between and not any(each.index in moved for each in between):
            self._insert(at, between, groups)
            return
        for other in self._near(at):
            if before in chains_of(self._all[other]):
                groups.join(at, other)

    def _insert(self, at: int, between: Sequence[Entry], groups: "Groups") -> None:
        first = between[0]
        detail = "A row was put in: the next links to the one before it."
        self._findings.add(Kind.INSERTED, first.index, first.id, detail)
        groups.drop(at)
        places = {each.index for each in between}
        for other in self._near(at):
            if self._all[other].entry.index in places:
                groups.drop(other)

    def _between(self, broken: Break, before: bytes) -> Sequence[Entry]:
        """The entries between a break and the one it links to, where that stands shortly before it."""
        for depth, entry in enumerate(reversed(broken.before)):
            if entry.chain == before:
                return broken.before[len(broken.before) - depth :]
        return ()

    def _predecessor(self, at: int) -> bytes | None:
        """The chain that a broken row links after, where one nearby has it."""
        broken = self._all[at]
        near = [chain for other in self._near(at) for chain in chains_of(self._all[other])]
        for chain in dict.fromkeys([*(each.chain for each in broken.before), *near]):
            if broken.follows(chain):
                return chain
        return None

    def _near(self, at: int) -> range:
        return range(max(0, at - NEAR), min(len(self._all), at + NEAR + 1))

    def _tell_group(self, members: Sequence[int], found: Sequence[bytes | None]) -> None:
        first = self._all[members[0]]
        if any(found[each] for each in members):
            self._tell(first, Kind.REORDERED, "Rows do not stand in the order in which they were sealed.")
        else:
            self._tell(first, Kind.ALTERED, "The row does not link to the one before.")

    def _tell(self, broken: Break, kind: Kind, detail: str) -> None:
        self._findings.add(kind, broken.entry.index, broken.entry.id, detail)


class Groups:
    """Numbers that belong together."""

    def __init__(self, count: int) -> None:
        self._leader = list(range(count))
        self._dropped: set[int] = set()

    def join(self, one: int, other: int) -> None:
        """Say that two belong together."""
        self._leader[self._led(one)] = self._led(other)

    def drop(self, one: int) -> None:
        """Leave one out: it is told already."""
        self._dropped.add(one)

    def all(self) -> Iterator[list[int]]:
        """The groups, each in order."""
        members: dict[int, list[int]] = {}
        for each in range(len(self._leader)):
            if each not in self._dropped:
                members.setdefault(self._led(each), []).append(each)
        yield from members.values()

    def _led(self, one: int) -> int:
        while self._leader[one] != one:
            one = self._leader[one]
        return one


def chains_of(broken: Break) -> list[bytes]:
    """The chains a displaced row near this break may link after."""
    return [*(each.chain for each in broken.before[-1:]), broken.entry.chain]
