"""Rows that hold together among themselves, in short: what another process hands over in their stead.

Refuses rows of which anything is not as it was sealed: those are for the verification itself to look at.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from service.audit.verification.breaks import WINDOW
from service.audit.verification.content import calls_for_judgement, commits
from service.audit.verification.numbers import Numbered, numbered_in
from service.audit.verification.piece import CHAIN, COMMITMENT, ID, INDEX, LEAF, SALT, TEXT, VALUES, Row
from service.seal.leaf import chained, leaves_of


class Digest(Struct, frozen=True):
    """The rows `first`, ...: their leaves and chains, one after another, and all that others have to judge.

    `ids` are those of the last rows, `numbered` what each writer numbered, `told` the rows whose content, or
    want of it, is judged by the whole log.
    """

    first: int
    leaves: bytes
    chains: bytes
    ids: Sequence[str]
    numbered: Mapping[str, Numbered]
    told: Sequence[Row]


def digest(rows: Sequence[Row]) -> Digest | None:
    """The digest of rows; None where they do not hold together."""
    try:
        leaves = leaves_of(row[VALUES] for row in rows)
        whole = bool(rows) and _linked(rows, leaves) and all(map(_kept, rows))
    except (TypeError, ValueError, OverflowError):  # what a sealed row never holds
        return None
    return _digest(rows, leaves) if whole else None


def _digest(rows: Sequence[Row], leaves: Sequence[bytes]) -> Digest:
    return Digest(
        rows[0][INDEX],
        b"".join(leaves),
        b"".join(row[CHAIN] for row in rows),
        [row[ID] for row in rows[-WINDOW:]],
        numbered_in(rows),
        [*filter(calls_for_judgement, rows)],
    )


def _linked(rows: Sequence[Row], leaves: Sequence[bytes]) -> bool:
    """Whether rows have their own leaves, follow each other, and each link to the one before."""
    first, chains = rows[0][INDEX], [row[CHAIN] for row in rows]
    return (
        [row[LEAF] for row in rows] == leaves
        and [row[INDEX] for row in rows] == [*range(first, first + len(rows))]
        and chained(chains[0], leaves[1:]) == chains[1:]
    )


def _kept(row: Row) -> bool:
    """Whether a text is the one that was said; where there is none, that is for others to judge."""
    return row[TEXT] is None or commits(row[COMMITMENT], row[SALT], row[TEXT])
