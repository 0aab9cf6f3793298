"""Paths and frontiers out of stored tiles, asked for and built."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.seal.merkle import TILE, Frontier, root_from_path
from service.seal.tree import Run, Tree, frontier_needs, frontier_of, joined, path_needs, paths
from tests.service.seal import naive


class Stored:
    """A log's leaves and tiles as a store keeps them; gives what is asked for and nothing else."""

    def __init__(self, size):
        self.frontier, self.leaves = Frontier(), naive.leaves(size)
        growth = self.frontier.extend(self.leaves)
        self.all = {(0, index): leaf for index, leaf in enumerate(self.leaves)}
        self.all |= {(tile.level, tile.index): tile.root for tile in growth.tiles}

    def fetch(self, runs):
        return {
            (run.level, index): self.all[run.level, index]
            for run in runs
            for index in range(run.first, run.end)
        }


@pytest.fixture(scope="module")
def large():
    return Stored(TILE * TILE + 3 * TILE + 77)


def test_every_path_of_every_size_up_to_600_leads_to_the_root():
    stored, frontier = Stored(600), Frontier()
    for size in range(1, 601):
        frontier.append(stored.leaves[size - 1])
        every = range(size) if size % 100 in {0, 1, 99, 56, 57} or size < 40 else (0, size // 2, size - 1)
        built = paths(every, size, stored.fetch(path_needs(every, size)))
        for index in every:
            assert root_from_path(index, size, stored.leaves[index], built[index]) == frontier.root()


@given(st.data())
def test_paths_are_those_of_the_rfc(data):
    size = data.draw(st.integers(1, 600))
    indexes = data.draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=5))
    stored = Stored(size)
    built = paths(indexes, size, stored.fetch(path_needs(indexes, size)))
    assert built == {index: naive.path(index, stored.leaves) for index in indexes}


@pytest.mark.parametrize(
    "index", [0, 255, 256, 40_000, TILE * TILE - 1, TILE * TILE, TILE * TILE + 3 * TILE + 76]
)
def test_a_path_in_a_large_log_needs_few_hashes(large, index):
    size = large.frontier.size
    needs = path_needs([index], size)
    built = paths([index], size, large.fetch(needs))
    assert root_from_path(index, size, large.leaves[index], built[index]) == large.frontier.root()
    assert sum(run.count for run in needs) <= 3 * 255


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 512, 600, 65_535, 65_536, 65_537, 66_000])
def test_a_path_of_an_earlier_size_is_built_from_the_same_tiles(large, size):
    index = size * 2 // 3
    built = paths([index], size, large.fetch(path_needs([index], size)))
    earlier = frontier_of(size, large.fetch(frontier_needs(size)))
    assert root_from_path(index, size, large.leaves[index], built[index]) == earlier.root()


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 512, 600, 65_535, 65_536, 65_537, 66_000, 66_381])
def test_a_rebuilt_frontier_is_the_grown_one_and_grows_on_alike(large, size):
    grown = Frontier()
    grown.extend(large.leaves[:size])
    rebuilt = frontier_of(size, large.fetch(frontier_needs(size)), grown.chain)
    assert (rebuilt.size, rebuilt.root(), rebuilt.chain) == (size, grown.root(), grown.chain)
    more = naive.leaves(700)
    assert rebuilt.extend(more) == grown.extend(more)
    assert rebuilt.root() == grown.root()


def test_a_frontier_needs_the_largest_tiles_there_are():
    assert frontier_needs(0) == ()
    assert frontier_needs(255) == (Run(0, 0, 255),)
    assert frontier_needs(256) == (Run(1, 0, 1),)
    assert frontier_needs(65_536 + 2 * 256 + 3) == (Run(2, 0, 1), Run(1, 256, 2), Run(0, 66_048, 3))


def test_runs_that_touch_or_overlap_become_one():
    runs = [Run(0, 4, 2), Run(1, 0, 1), Run(0, 0, 4), Run(0, 1, 2), Run(0, 7, 1)]
    assert joined(runs) == (Run(0, 0, 6), Run(0, 7, 1), Run(1, 0, 1))


def test_a_hash_that_is_missing_is_said_to_be():
    stored = Stored(300)
    with pytest.raises(KeyError):
        paths([7], 300, {})
    with pytest.raises(KeyError):
        frontier_of(300, {(0, index): leaf for index, leaf in enumerate(stored.leaves)})


def test_a_tree_forgets_nodes_rather_than_grow_without_end(large, monkeypatch):
    monkeypatch.setattr("service.seal.tree.MOST_NODES", 16)
    tree = Tree(large.all)
    for index in range(256):
        tree.hash_of(1, index)
        assert len(tree._known) <= 16
    assert tree.hash_of(7, 0) == naive.root(large.leaves[:128])
