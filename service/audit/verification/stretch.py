"""Stretches of a log between checkpoints: the roots of their perfect subtrees, and the chain at their end.

Refuses to hold leaves: a stretch of n is at most 2 * log2(n) hashes, whoever joins it to what stands before.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from msgspec import Struct

from service.seal.merkle import subtrees_over


class Stretch(Struct, frozen=True):
    """`count` entries: the `(height, root)` of their perfect subtrees, leftmost first, and the last chain."""

    count: int
    roots: Sequence[tuple[int, bytes]]
    chain: bytes


def stretches_of(
    first: int, leaves: Sequence[bytes], chains: Sequence[bytes], cuts: Sequence[int]
) -> Sequence[Stretch]:
    """The entries `first`, ... as stretches: one ends at each of these sizes, which are in order."""
    ends = [cut - first for cut in cuts if 0 < cut - first < len(leaves)]
    return [
        Stretch(end - start, subtrees_over(first + start, leaves[start:end]), chains[end - 1])
        for start, end in _spans([0, *ends, len(leaves)])
    ]


def _spans(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    return ((start, end) for start, end in pairwise(places) if start < end)
