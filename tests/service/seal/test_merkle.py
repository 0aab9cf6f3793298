"""The tree against the vectors of Certificate Transparency and against the RFC written down a second time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.seal.leaf import GENESIS
from service.seal.merkle import (
    TILE,
    Frontier,
    PathMalformed,
    Peaks,
    Tile,
    path_length,
    root_from_path,
    subtrees_over,
)
from tests.service.seal import naive

DATA = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
VECTORS = [naive.leaf(bytes.fromhex(each)) for each in DATA]
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
"""Of the test data of Certificate Transparency, for 0 to 8 leaves."""

PATHS = [
    (
        0,
        8,
        (
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ),
    ),
    (
        5,
        8,
        (
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ),
    ),
    (2, 3, ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",)),
]
"""Inclusion paths of the same test data."""


def grown(leaves) -> Peaks:
    peaks = Peaks()
    peaks.extend(leaves)
    return peaks


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_certificate_transparency(size):
    assert grown(VECTORS[:size]).root().hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size", "path"), PATHS)
def test_paths_of_certificate_transparency_lead_to_the_root(index, size, path):
    hashes = [bytes.fromhex(each) for each in path]
    assert root_from_path(index, size, VECTORS[index], hashes).hex() == ROOTS[size]


@given(st.lists(st.integers(0, 90), max_size=20))
def test_a_tree_grown_in_any_pieces_is_the_tree_grown_leaf_by_leaf(pieces):
    leaves = naive.leaves(sum(pieces))
    whole, at = Peaks(), 0
    for count in pieces:
        whole.extend(leaves[at : at + count])
        at += count
    single = Peaks()
    for leaf in leaves:
        single.extend([leaf])
    assert whole.root() == single.root() == naive.root(leaves)
    assert whole.size == single.size == len(leaves)


@given(st.lists(st.integers(0, 70), max_size=8))
def test_a_tree_grown_by_the_subtrees_of_pieces_is_the_tree_grown_leaf_by_leaf(pieces):
    peaks, leaves = Peaks(), naive.leaves(sum(pieces))
    for piece in pieces:
        for height, root in subtrees_over(peaks.size, leaves[peaks.size : peaks.size + piece]):
            peaks.extend([root], height)
    assert (peaks.size, peaks.root()) == (len(leaves), naive.root(leaves))


def test_the_subtrees_over_leaves_are_as_few_as_can_be():
    leaves = naive.leaves(256)
    assert [height for height, _ in subtrees_over(0, leaves)] == [8]
    assert [height for height, _ in subtrees_over(3, leaves[:8])] == [0, 2, 1, 0]
    assert [height for height, _ in subtrees_over(5, leaves[:20])] == [0, 1, 3, 3, 0]
    assert subtrees_over(7, []) == []


def test_every_size_has_the_root_of_the_rfc():
    leaves, frontier = naive.leaves(300), Frontier()
    for size, leaf in enumerate(leaves, 1):
        frontier.append(leaf)
        assert frontier.root() == naive.root(leaves[:size])


def test_the_chain_goes_through_every_leaf():
    leaves, frontier = naive.leaves(10), Frontier()
    assert frontier.chain == GENESIS
    growth = frontier.extend(leaves)
    assert growth.chains == [naive.chain(leaves[:size]) for size in range(1, 11)]
    assert growth.chain == frontier.chain == naive.chain(leaves)
    assert frontier.extend([]).chains == []
    assert frontier.chain == naive.chain(leaves)


def test_a_copy_grows_by_itself():
    frontier = Frontier()
    frontier.extend(naive.leaves(5))
    before = frontier.root(), frontier.chain, frontier.size
    copy = frontier.copy()
    copy.extend(naive.leaves(300))
    assert (frontier.root(), frontier.chain, frontier.size) == before
    assert copy.root() == naive.root([*naive.leaves(5), *naive.leaves(300)])


def test_a_tile_is_told_once_by_the_leaf_that_makes_it_whole():
    leaves, frontier = naive.leaves(3 * TILE + 5), Frontier()
    told = [(index, tile) for index, leaf in enumerate(leaves) for tile in frontier.append(leaf).tiles]
    assert told == [
        (TILE * (at + 1) - 1, Tile(1, at, naive.root(leaves[TILE * at : TILE * (at + 1)]))) for at in range(3)
    ]


@pytest.mark.parametrize("step", [1000, 65_537, TILE])
def test_tiles_of_the_second_level_are_told_as_well(step):
    leaves, frontier, tiles = naive.leaves(TILE * TILE + TILE), Frontier(), []
    for first in range(0, len(leaves), step):
        tiles += frontier.extend(leaves[first : first + step]).tiles
    first = sorted((each.index, each.root) for each in tiles if each.level == 1)
    assert [index for index, _ in first] == list(range(257))
    second = [each for each in tiles if each.level == 2]
    assert second == [Tile(2, 0, naive.root([root for _, root in first[:256]]))]
    assert len(tiles) == 258


def test_a_subtree_stands_only_where_one_can():
    peaks = grown(naive.leaves(3))
    with pytest.raises(ValueError, match="height 2"):
        peaks.extend([bytes(32)], 2)


def test_every_path_of_every_size_leads_to_the_root_and_none_elsewhere():
    for size in range(1, 41):
        leaves = naive.leaves(size)
        whole = naive.root(leaves)
        for index, leaf in enumerate(leaves):
            path = naive.path(index, leaves)
            assert len(path) == path_length(index, size)
            assert root_from_path(index, size, leaf, path) == whole


@given(st.data())
def test_an_altered_path_place_size_or_leaf_leads_elsewhere(data):
    size = data.draw(st.integers(2, 600))
    index = data.draw(st.integers(0, size - 1))
    leaves = naive.leaves(size)
    path, whole = naive.path(index, leaves), naive.root(leaves)

    at, byte = data.draw(st.integers(0, len(path) - 1)), data.draw(st.integers(0, 31))
    changed = bytearray(path[at])
    changed[byte] ^= 1 << data.draw(st.integers(0, 7))
    assert root_from_path(index, size, leaves[index], [*path[:at], bytes(changed), *path[at + 1 :]]) != whole
    assert root_from_path(index, size, naive.leaf(b"another"), path) != whole

    other = data.draw(st.integers(0, size - 1).filter(lambda other: other != index))
    assert lead(other, size, leaves[index], path) != whole
    assert lead(index, size, leaves[index], path[:-1]) is None
    assert lead(index, size, leaves[index], [*path, path[0]]) is None


def lead(index, size, leaf, path):
    try:
        return root_from_path(index, size, leaf, path)
    except PathMalformed:
        return None


@pytest.mark.parametrize(
    ("index", "size", "leaf", "path"),
    [
        (0, 0, bytes(32), []),
        (1, 1, bytes(32), []),
        (-1, 2, bytes(32), [bytes(32)]),
        (2, 2, bytes(32), [bytes(32)]),
        (0, 1, bytes(32), [bytes(32)]),
        (0, 2, bytes(32), []),
        (0, 2, bytes(32), [bytes(31)]),
        (0, 2, bytes(33), [bytes(32)]),
    ],
)
def test_what_is_no_path_is_refused(index, size, leaf, path):
    with pytest.raises(PathMalformed):
        root_from_path(index, size, leaf, path)
