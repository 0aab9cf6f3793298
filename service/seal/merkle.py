"""The Merkle tree of RFC 6962 over leaf hashes: grown leaf by leaf, and its inclusion paths checked.

Refuses to hold the leaves: a log of n rows is here at most log2(n) hashes. Consistency proofs are not needed:
whoever checks a log has its rows.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Self

from msgspec import Struct

from service.errors import ServiceError
from service.seal.leaf import GENESIS, chained

TILE = 256
TILE_HEIGHT = 8
"""A tile is the root of 256 tiles of the level below; those of level 0 are the leaves."""

NODE = b"\x01"
EMPTY = sha256(b"").digest()
"""The root of a tree without leaves."""

HashOf = Callable[[int, int], bytes]
"""`hash_of(height, index)`: the root over leaves `[index << height, (index + 1) << height)`, all there."""


class PathMalformed(ServiceError):
    """A path cannot belong to that place in a tree of that size."""


class Tile(Struct, frozen=True):
    """The root over leaves `[256^level * index, 256^level * (index + 1))`; `level` is at least 1."""

    level: int
    index: int
    root: bytes


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node by those of its children."""
    return sha256(NODE + left + right).digest()


class Peaks:
    """A tree as the roots of its perfect subtrees: one for each bit of `size`, the largest leftmost."""

    __slots__ = ("_at", "size")

    def __init__(self, size: int = 0, by_height: list[bytes] | None = None) -> None:
        self.size = size
        self._at = by_height or []  # what stands where size has no bit is stale

    def copy(self) -> Self:
        """Another that grows by itself."""
        return type(self)(self.size, self._at.copy())

    def extend(self, roots: Sequence[bytes], height: int = 0) -> list[Tile]:
        """Append leaves, or roots of perfect subtrees of this height; tell the tiles that became whole.

        Raises:
            ValueError: the tree's size is no multiple of such a subtree, so none can stand there.
        """
        if self.size & ((1 << height) - 1):
            raise ValueError(f"a subtree of height {height} cannot stand at {self.size}")
        tiles: list[Tile] = []
        size, self.size = self.size, self.size + (len(roots) << height)
        while roots:
            if height and height % TILE_HEIGHT == 0:
                tiles += tiles_of(height, size >> height, roots)
            roots, height = self._pair(roots, height, size), height + 1
        return tiles

    def root(self) -> bytes:
        """The root of the whole tree (RFC 6962, 2.1)."""
        return folded(self._at[height] for height in heights_of(self.size))

    def _pair(self, roots: Sequence[bytes], height: int, size: int) -> Sequence[bytes]:
        """Join roots two by two, the first with the one that waits; an odd last one waits."""
        if size >> height & 1:
            roots = (self._at[height], *roots)
        if len(roots) & 1:
            self._wait(roots[-1], height)
        if len(roots) == 1:
            return ()
        return paired(roots)

    def _wait(self, root: bytes, height: int) -> None:
        self._at.extend([b""] * (height + 1 - len(self._at)))
        self._at[height] = root


def tiles_of(height: int, first: int, roots: Sequence[bytes]) -> list[Tile]:
    """Name roots of a height that tiles have, the first of which has index `first`."""
    level = height // TILE_HEIGHT
    return [Tile(level, index, root) for index, root in enumerate(roots, first)]


def subtrees_over(first: int, leaves: Sequence[bytes]) -> list[tuple[int, bytes]]:
    """The `(height, root)` of the fewest perfect subtrees over the leaves `first`, ..., leftmost first."""
    before: list[tuple[int, bytes]] = []
    behind: list[tuple[int, bytes]] = []
    height, roots = 0, leaves
    while roots:
        if first & 1:
            before.append((height, roots[0]))
            roots, first = roots[1:], first + 1
        if len(roots) & 1:
            behind.append((height, roots[-1]))
        roots, first, height = paired(roots), first >> 1, height + 1
    return before + behind[::-1]


def paired(roots: Sequence[bytes]) -> list[bytes]:
    """The nodes over roots, two by two; an odd last one has none."""
    pairs = iter(roots)
    return [sha256(NODE + left + right).digest() for left, right in zip(pairs, pairs, strict=False)]


def heights_of(size: int) -> list[int]:
    """The heights of the perfect subtrees a tree consists of, the rightmost and smallest first."""
    return [height for height in range(size.bit_length()) if size >> height & 1]


def folded(roots: Iterable[bytes]) -> bytes:
    """Join the roots of perfect subtrees, given from the rightmost to the leftmost, into that of the tree."""
    whole = b""
    for root in roots:
        whole = node_hash(root, whole) if whole else root
    return whole or EMPTY


class Growth(Struct, frozen=True):
    """What appending did: the chain after each leaf, and the tiles that became whole."""

    chains: list[bytes]
    tiles: list[Tile]

    @property
    def chain(self) -> bytes:
        """The chain after the last leaf."""
        return self.chains[-1]


class Frontier:
    """The end of a log, all that is needed to append to it: its size, its tree and its chain. Mutable."""

    __slots__ = ("_peaks", "chain")

    def __init__(self, peaks: Peaks | None = None, chain: bytes = GENESIS) -> None:
        self._peaks, self.chain = peaks or Peaks(), chain

    @property
    def size(self) -> int:
        """Leaves so far; the log index of the next."""
        return self._peaks.size

    def copy(self) -> Self:
        """Another that grows by itself: try a batch on it, and keep it when the database took the batch."""
        return type(self)(self._peaks.copy(), self.chain)

    def append(self, leaf: bytes) -> Growth:
        """Append one leaf."""
        return self.extend([leaf])

    def extend(self, leaves: Sequence[bytes]) -> Growth:
        """Append leaves."""
        chains = chained(self.chain, leaves)
        self.chain = chains[-1] if chains else self.chain
        return Growth(chains, self._peaks.extend(leaves))

    def root(self) -> bytes:
        """The root of the tree."""
        return self._peaks.root()


def path_step(index: int, size: int) -> bool:
    """Whether a place has a node beside it on its level; the last of an odd level moves up alone."""
    return bool(index & 1) or index + 1 < size


def root_from_path(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The root that a leaf at `index` of `size` and its inclusion path lead to (RFC 6962, 2.1.1).

    Raises:
        PathMalformed: no tree of that size has such a place, or its path has another length.
    """
    if not 0 <= index < size or len(path) != path_length(index, size):
        raise PathMalformed("The path has another length than one of that place.")
    if any(len(each) != len(EMPTY) for each in (leaf, *path)):
        raise PathMalformed("The path does not consist of hashes.")
    beside, root = iter(path), leaf
    while size > 1:
        if path_step(index, size):
            root = node_hash(next(beside), root) if index & 1 else node_hash(root, next(beside))
        index, size = index >> 1, (size + 1) >> 1
    return root


def path_length(index: int, size: int) -> int:
    """The number of hashes in an inclusion path."""
    steps = 0
    while size > 1:
        steps += path_step(index, size)
        index, size = index >> 1, (size + 1) >> 1
    return steps
