"""Rows that hold together among themselves, in short: what stands in their stead from there on.

Refuses rows of which anything is not as it was sealed: those are for the verification itself to look at.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from service.audit.verification.breaks import WINDOW, Entry
from service.audit.verification.content import commits, judged_by_all
from service.audit.verification.numbers import Numbered, numbered_in
from service.audit.verification.piece import CHAIN, COMMITMENT, ID, INDEX, LEAF, SALT, TEXT, VALUES, Row
from service.audit.verification.stretch import Stretch, stretches_of
from service.seal.leaf import chained, leaves_of


class Digest(Struct, frozen=True):
    """Some rows that follow each other: their first and last entries, and the stretches they are.

    `numbered` is what each writer numbered, `told` are the rows whose content, or want of it, the whole log
    judges.
    """

    first: Entry
    last: Sequence[Entry]
    stretches: Sequence[Stretch]
    numbered: Mapping[str, Numbered]
    told: Sequence[Row]

    @property
    def end(self) -> int:
        """The first place behind it."""
        return self.last[-1].index + 1

    @property
    def count(self) -> int:
        """How many rows it stands for."""
        return self.end - self.first.index


def digest(rows: Sequence[Row], cuts: Sequence[int] = ()) -> Digest | None:
    """The digest of rows; None where they do not hold together. A stretch of it ends at each of `cuts`."""
    try:
        leaves = leaves_of([row[VALUES] for row in rows])
        whole = bool(rows) and _linked(rows, leaves) and _kept(rows)
    except (TypeError, ValueError, OverflowError):  # what a sealed row never holds
        return None
    return _digest(rows, leaves, cuts) if whole else None


def _digest(rows: Sequence[Row], leaves: Sequence[bytes], cuts: Sequence[int]) -> Digest:
    chains = [row[CHAIN] for row in rows]
    return Digest(
        first=_entry(rows[0]),
        last=[*map(_entry, rows[-WINDOW:])],
        stretches=stretches_of(rows[0][INDEX], leaves, chains, cuts),
        numbered=numbered_in(rows),
        told=judged_by_all(rows),
    )


def _entry(row: Row) -> Entry:
    return Entry(row[INDEX], row[ID], row[LEAF], row[CHAIN])


def _linked(rows: Sequence[Row], leaves: Sequence[bytes]) -> bool:
    """Whether rows have their own leaves, follow each other, and each link to the one before."""
    first, chains = rows[0][INDEX], [row[CHAIN] for row in rows]
    return (
        [row[LEAF] for row in rows] == leaves
        and [row[INDEX] for row in rows] == [*range(first, first + len(rows))]
        and chained(chains[0], leaves[1:]) == chains[1:]
    )


def _kept(rows: Sequence[Row]) -> bool:
    """Whether every text is the one that was said; where there is none, that is for others to judge."""
    return all(commits(row[COMMITMENT], row[SALT], row[TEXT]) for row in rows if row[TEXT] is not None)
