"""The shape in which a log is handed over: lists of rows as plain tuples, and runs of what retention left.

Refuses classes for rows: making a million objects takes longer than hashing them.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from service.seal.leaf import COLUMNS

Row = Sequence[Any]
"""`(log_index, leaf_hash, chain_hash, *values of COLUMNS, text or None, salt or None, content state)`.

The content state is None (nothing was ever kept), `clear`, `sealed` or `erased`. A text is given where it is
to be held against its commitment; a sealed one may be left out.
"""

INDEX, LEAF, CHAIN = 0, 1, 2
FIRST = 3
VALUES = slice(FIRST, FIRST + len(COLUMNS))
TEXT, SALT, STATE = range(FIRST + len(COLUMNS), FIRST + len(COLUMNS) + 3)
CLEAR, SEALED, ERASED = "clear", "sealed", "erased"


def position(column: str) -> int:
    """Where a column stands in a row."""
    return FIRST + COLUMNS.index(column)


ID, ENTITY_TYPE, METADATA = map(position, ("id", "entity_type", "metadata"))
SUBJECT, COMMITMENT = map(position, ("subject_id", "commitment"))
WRITER, WRITER_SEQ, WRITER_LOW = map(position, ("writer", "writer_seq", "writer_low"))


class Buried(Struct, frozen=True):
    """What retention left of the events `first`, ...: their leaf hashes."""

    first: int
    leaves: Sequence[bytes]
