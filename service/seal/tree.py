"""Inclusion paths out of stored tiles: which hashes a path needs, and the path built from them.

Refuses to fetch: it says what it needs as runs of hashes, and builds from what it is given. A store asks for
the runs in its own way, then gives a mapping.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from service.seal.leaf import GENESIS
from service.seal.merkle import (
    TILE_HEIGHT,
    Frontier,
    HashOf,
    Peaks,
    folded,
    heights_of,
    node_hash,
    path_step,
)

MOST_NODES = 1 << 16
"""Inner nodes a `Tree` remembers at a time: 65,536 are about 8 MB."""

Hashes = Mapping[tuple[int, int], bytes]
"""`(level, index) -> hash`: leaves are level 0, tiles those from level 1 on."""


class Run(Struct, frozen=True, order=True):
    """The hashes `first`, ... of a level, `count` of them: leaves on level 0, else tiles."""

    level: int
    first: int
    count: int

    @property
    def end(self) -> int:
        """The first index behind it."""
        return self.first + self.count


class Tree:
    """Answers `hash_of(height, index)` from leaves and tiles.

    Raises KeyError where one is asked for that it was not given.
    """

    def __init__(self, hashes: Hashes) -> None:
        self._hashes, self._known = hashes, dict[tuple[int, int], bytes]()

    def hash_of(self, height: int, index: int) -> bytes:
        """The root of the perfect subtree over leaves `[index << height, (index + 1) << height)`."""
        if height % TILE_HEIGHT == 0:
            return self._hashes[height // TILE_HEIGHT, index]
        known = self._known.get((height, index))
        return known or self._made(height, index)

    def _made(self, height: int, index: int) -> bytes:
        made = node_hash(self.hash_of(height - 1, 2 * index), self.hash_of(height - 1, 2 * index + 1))
        if len(self._known) >= MOST_NODES:
            self._known.clear()
        self._known[height, index] = made
        return made


def inclusion_path(index: int, size: int, hash_of: HashOf) -> list[bytes]:
    """The path from a leaf to the root of the tree of `size` leaves (RFC 6962, 2.1.1), from below."""
    return [
        folded(hash_of(*subtree) for subtree in subtrees_of(beside, height, size))
        for height, beside in beside_of(index, size)
    ]


def beside_of(index: int, size: int) -> Iterator[tuple[int, int]]:
    """`(height, index)` of the nodes a path consists of; the last of a level may be over fewer leaves."""
    height, width = 0, size
    while width > 1:
        if path_step(index, width):
            yield height, index ^ 1
        index, width, height = index >> 1, (width + 1) >> 1, height + 1


def subtrees_of(index: int, height: int, size: int) -> Iterator[tuple[int, int]]:
    """The perfect subtrees under a node, from the rightmost to the leftmost, as `(height, index)`."""
    first = index << height
    if first + (1 << height) <= size:
        yield height, index
        return
    for lower in heights_of(size - first):
        yield lower, ((size >> lower) - 1)


def path_needs(indexes: Iterable[int], size: int) -> tuple[Run, ...]:
    """The leaves and tiles that the paths of these places in a tree of `size` are built from.

    One path needs at most 255 leaves, and as many tiles of each level. No two runs touch.
    """
    nodes = {node for index in indexes for node in beside_of(index, size)}
    subtrees = {subtree for height, index in nodes for subtree in subtrees_of(index, height, size)}
    return joined(run_of(height, index) for height, index in subtrees)


def run_of(height: int, index: int) -> Run:
    """The leaves or tiles that a perfect subtree is built from."""
    level, above = divmod(height, TILE_HEIGHT)
    return Run(level, index << above, 1 << above)


def joined(runs: Iterable[Run]) -> tuple[Run, ...]:
    """The same hashes in as few runs as can be, in order."""
    whole: list[Run] = []
    for run in sorted(runs):
        if whole and whole[-1].level == run.level and run.first <= whole[-1].end:
            before = whole.pop()
            run = Run(run.level, before.first, max(before.end, run.end) - before.first)  # noqa: PLW2901 - it grew
        whole.append(run)
    return tuple(whole)


def paths(indexes: Iterable[int], size: int, hashes: Hashes) -> dict[int, list[bytes]]:
    """The inclusion paths of places in a tree of `size`, from the hashes that `path_needs` named.

    Raises:
        KeyError: one of them is missing.
    """
    tree = Tree(hashes)
    return {index: inclusion_path(index, size, tree.hash_of) for index in indexes}


def frontier_needs(size: int) -> tuple[Run, ...]:
    """What a frontier of `size` is rebuilt from: the fewest tiles, the highest first, and the last leaves."""
    runs: list[Run] = []
    level, width = 0, size
    while width:
        above = width >> TILE_HEIGHT
        if rest := width - (above << TILE_HEIGHT):
            runs.append(Run(level, above << TILE_HEIGHT, rest))
        level, width = level + 1, above
    return tuple(reversed(runs))


def frontier_of(size: int, hashes: Hashes, chain: bytes = GENESIS) -> Frontier:
    """The frontier of `size` again, from the hashes that `frontier_needs` named; `chain` is the last row's.

    Raises:
        KeyError: one of them is missing.
    """
    peaks = Peaks()
    for run in frontier_needs(size):
        peaks.extend(hashes_of(run, hashes), run.level * TILE_HEIGHT)
    return Frontier(peaks, chain)


def hashes_of(run: Run, hashes: Hashes) -> Sequence[bytes]:
    """The hashes of a run, in order."""
    return [hashes[run.level, index] for index in range(run.first, run.end)]
