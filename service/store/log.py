"""The log's head: where the next event goes. Kept in memory, and held against the database each time.

Refuses to believe its own memory alone: another process may have appended meanwhile.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from service.errors import DatabaseError
from service.seal.leaf import GENESIS
from service.seal.merkle import Frontier
from service.seal.tree import Run, frontier_needs, frontier_of
from service.store.engine import Plain, Script

HASH_BYTES = 32
HEAD = Plain("SELECT log_index, chain_hash FROM audit_event ORDER BY log_index DESC LIMIT 1")
LEAVES = "SELECT log_index, leaf_hash FROM audit_event WHERE log_index >= {} AND log_index < {}"
BURIED = "SELECT first, leaves FROM audit_tombstone WHERE last >= {} AND first < {}"
TILES = "SELECT number, root FROM audit_tile WHERE level = {} AND number >= {} AND number < {}"
SINCE = "SELECT leaf_hash, chain_hash FROM audit_event WHERE log_index >= {} ORDER BY log_index"
FEW = 2_000
"""Events of others that are read one by one; more are taken from the tiles."""
BROKEN = "The audit log does not fit together; `parley audit verify` says where."


def head(known: Frontier) -> Script[Frontier]:
    """The frontier of the log as it is now; a copy, to be grown.

    Raises:
        DatabaseError: what the frontier is made of is not all there.
    """
    size, chain = yield from end()
    if (size, chain) == (known.size, known.chain):
        return known.copy()
    if 0 < size - known.size <= FEW and (yield from _follows(known)):
        since = yield _ask(SINCE, known.size)
        if len(since) == size - known.size:  # retention may have taken some of them
            return _caught_up(known.copy(), since)
    hashes = yield from hashes_of(frontier_needs(size))
    try:
        return frontier_of(size, hashes, chain)
    except KeyError as error:
        raise DatabaseError(BROKEN) from error


def end() -> Script[tuple[int, bytes]]:
    """How many events the log has, and the chain after the last."""
    for row in (yield HEAD):
        return int(row["log_index"]) + 1, bytes(row["chain_hash"])
    return 0, GENESIS


def hashes_of(runs: Iterable[Run]) -> Script[dict[tuple[int, int], bytes]]:
    """Leaves and tiles by level and index, as far as they are there."""
    found: dict[tuple[int, int], bytes] = {}
    for run in runs:
        rows = yield from (_leaves(run) if run.level == 0 else _tiles(run))
        found |= {(run.level, index): root for index, root in rows.items()}
    return found


def _leaves(run: Run) -> Script[Mapping[int, bytes]]:
    leaves = {
        int(row["log_index"]): bytes(row["leaf_hash"]) for row in (yield _ask(LEAVES, run.first, run.end))
    }
    if len(leaves) < run.count:
        for row in (yield _ask(BURIED, run.first, run.end)):
            leaves |= dict(enumerate(split(bytes(row["leaves"])), int(row["first"])))
    return leaves


def _tiles(run: Run) -> Script[Mapping[int, bytes]]:
    rows = yield _ask(TILES, run.level, run.first, run.end)
    return {int(row["number"]): bytes(row["root"]) for row in rows}


def split(leaves: bytes) -> Sequence[bytes]:
    """The leaf hashes that a tombstone holds one after another."""
    return [leaves[start : start + HASH_BYTES] for start in range(0, len(leaves), HASH_BYTES)]


def _follows(known: Frontier) -> Script[bool]:
    """Whether the log still has what we know as its beginning."""
    if known.size == 0:
        return True
    rows = yield _ask("SELECT chain_hash FROM audit_event WHERE log_index = {}", known.size - 1)
    return bool(rows) and bytes(rows[0]["chain_hash"]) == known.chain


def _caught_up(frontier: Frontier, rows: Sequence[Mapping[str, Any]]) -> Frontier:
    frontier.extend([bytes(row["leaf_hash"]) for row in rows])
    if bytes(rows[-1]["chain_hash"]) != frontier.chain:
        raise DatabaseError(BROKEN)
    return frontier


def _ask(sql: str, *arguments: Any) -> Plain:
    return Plain(sql, arguments)
