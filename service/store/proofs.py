"""What a proof of the log is made of: its rows in their order, what retention left, hashes and paths.

Refuses to hold a lock, or more than one window of rows: whoever verifies is in nobody's way.
"""

from bisect import bisect_left
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from msgspec import Struct
from piccolo.querystring import QueryString

from service.errors import DatabaseError
from service.seal.leaf import COLUMNS, canonical
from service.seal.merkle import TILE
from service.seal.tree import path_needs, paths
from service.store import event, log
from service.store.engine import Ask, Plain, Script, StoreEngine, T
from service.store.event import Event, event_of
from service.store.listed import listed

WINDOW = 1_000
"""Places of the log that are read at a time: what is made of them fits into a core's own memory."""
BEFORE_ALL = -(1 << 63)

Row = Sequence[Any]
"""`(log_index, leaf_hash, chain_hash, *values of COLUMNS, text or None, salt or None, content state)`."""

SEALED = QueryString(", ".join(f"event.{name}" for name in COLUMNS))
JOINED = QueryString(
    "audit_event AS event LEFT JOIN audit_content AS content ON content.log_index = event.log_index"
)
ROWS = (
    "SELECT event.log_index, event.leaf_hash, event.chain_hash, {}, content.query, content.salt, "
    "CASE WHEN content.log_index IS NULL THEN NULL WHEN content.query IS NOT NULL THEN 'clear' "
    "WHEN content.sealed IS NOT NULL THEN 'sealed' ELSE 'erased' END "
    "FROM audit_event AS event LEFT JOIN audit_content AS content ON content.log_index = event.log_index "
    "AND content.log_index >= {} AND content.log_index < {} "
    "WHERE event.log_index >= {} AND event.log_index < {} ORDER BY event.log_index"
)
"""The bounds are told twice: PostgreSQL then reads both tables in order and looks up no content by itself."""
NEXT = (
    "SELECT min(place) FROM (SELECT min(log_index) AS place FROM audit_event WHERE log_index >= {} "
    "UNION ALL SELECT min(first) FROM audit_tombstone WHERE last >= {}) AS places"
)
LEFT = "SELECT first, leaves FROM audit_tombstone WHERE last >= {} AND first < {} ORDER BY first"
FURTHEST = QueryString(
    "SELECT max(log_index), 1 FROM audit_content UNION ALL SELECT max(log_index), 1 FROM audit_event_tool "
    "UNION ALL SELECT max(last), 1 FROM audit_tombstone"
)
TILES = QueryString("SELECT level, max(number) FROM audit_tile GROUP BY level")
SET_ASIDE = QueryString(
    "SELECT writer, writer_seq FROM audit_quarantine WHERE writer IS NOT NULL AND writer_seq IS NOT NULL"
)
SEALS = "SELECT event.log_index, event.chain_hash, content.salt, {} FROM {} WHERE event.id IN ({})"
SEAL_HEAD = 3
"""Columns before those that are sealed, of which the id is the first."""
WHOLE = (
    'SELECT {} FROM "AuditEvent" AS shown WHERE shown."logIndex" < {} ORDER BY shown."logIndex" DESC LIMIT {}'
)
READS = "A proof only reads."
BURIED = QueryString("SELECT count(*) FROM audit_tombstone")


class Left(Struct, frozen=True):
    """What retention left of the events `first`, ...: their leaf hashes."""

    first: int
    leaves: Sequence[bytes]


class Seal(Struct, frozen=True):
    """What one event was sealed as: the bytes of its leaf, the chain after it, the salt of its content."""

    log_index: int
    columns: bytes
    chain: bytes
    salt: bytes | None


class Proofs:
    """Reads the log for those who prove or verify it; every method raises DatabaseError."""

    def __init__(self, engine: StoreEngine) -> None:
        self._engine = engine

    async def pieces(
        self, start: int = BEFORE_ALL, window: int = WINDOW
    ) -> AsyncGenerator[Sequence[Row] | Left]:
        """The log from a place on in its order, to its very end: rows, and what is left of the buried.

        What is erased or buried while it is read is announced by an event further on, which is read as well.
        """
        place: int | None = start
        while (place := await self.following(place)) is not None:
            for piece in await self.window(place, place + window):
                yield piece
                place = end_of(piece)  # what comes into a window that was not full is not passed over

    async def following(self, start: int) -> int | None:
        """The first place from this one on that has anything; None behind the last."""
        ((place,),) = await self._engine.tuples(QueryString(NEXT, start, start))
        return None if place is None else max(start, int(place))

    async def window(self, start: int, end: int) -> Sequence[Sequence[Row] | Left]:
        """The places of a window; what is left of the buried is read last, so that none is missed."""
        rows = await self._engine.tuples(QueryString(ROWS, SEALED, start, end, start, end))
        if len(rows) == end - start:
            return [rows]
        found = await self._engine.tuples(QueryString(LEFT, start, end))
        left = [Left(int(first), log.split(bytes(leaves))) for first, leaves in found]
        return [*merged(rows, [each for run in left for each in _within(run, start, end)])]

    async def known_size(self) -> int:
        """How many places the database knows of by all but the events themselves."""
        tiles = [(number + 1) * TILE**level for level, number in await self._engine.tuples(TILES)]
        ends = [last + 1 for last, _ in await self._engine.tuples(FURTHEST) if last is not None]
        return max([0, *tiles, *ends])

    async def quarantined(self) -> Sequence[tuple[str, int]]:
        """Writers and numbers of the rows in quarantine."""
        return [(str(writer), int(number)) for writer, number in await self._engine.tuples(SET_ASIDE)]

    async def buried(self) -> bool:
        """Whether retention has removed any event."""
        ((count,),) = await self._engine.tuples(BURIED)
        return bool(count)

    async def seals(self, ids: Iterable[str]) -> Mapping[str, Seal]:
        """What these events were sealed as, by id; those that are not there any more are left out."""
        wanted = listed(self._engine.engine_type, ids)
        found = await self._engine.tuples(QueryString(SEALS, SEALED, JOINED, wanted))
        return {str(row[SEAL_HEAD]): _seal(row) for row in found}

    async def paths(self, indexes: Iterable[int], size: int) -> Mapping[int, Sequence[bytes]]:
        """The inclusion paths of places in the log's first `size` events.

        Raises:
            KeyError: a hash that one needs is not there.
        """
        wanted = tuple(indexes)
        hashes = await self._follow(log.hashes_of(path_needs(wanted, size)))
        return paths(wanted, size, hashes)

    async def whole(self, size: int, page: int) -> AsyncGenerator[Sequence[Event]]:
        """The first `size` events of the log, the last first, a page at a time."""
        while found := await self._engine.ask(QueryString(WHOLE, event.COLUMNS, size, page)):
            events = [event_of(row) for row in found]
            yield events
            size = events[-1].log_index

    async def _follow(self, script: Script[T]) -> T:
        """Follow a script that only asks, without a transaction."""
        try:
            step = next(script)
            while isinstance(step, Ask | Plain):
                query = step.query if isinstance(step, Ask) else QueryString(step.sql, *step.arguments)
                step = script.send(await self._engine.ask(query))
        except StopIteration as ended:
            return ended.value
        raise DatabaseError(READS)


def end_of(piece: Sequence[Row] | Left) -> int:
    """The first place behind a piece."""
    return piece.first + len(piece.leaves) if isinstance(piece, Left) else int(piece[-1][0]) + 1


def merged(rows: Sequence[Row], left: Sequence[Left]) -> Iterator[Sequence[Row] | Left]:
    """Rows and what is left of others in the order of their places.

    A place that has both, with the same leaf, was buried while it was read: its row counts.
    """
    places, done = [row[0] for row in rows], 0
    leaves = {row[0]: row[1] for row in rows} if left else {}
    for run in (each for whole in left for each in _lacking(whole, leaves)):
        until = bisect_left(places, run.first)
        if until > done:
            yield rows[done:until]
        yield run
        done = until
    if done < len(rows):
        yield rows[done:]


def _lacking(run: Left, leaves: Mapping[int, bytes]) -> Iterator[Left]:
    """The parts of a run that were not read as rows."""
    entries = [*enumerate(run.leaves, run.first)]
    for read, part in groupby(entries, lambda entry: leaves.get(entry[0]) == entry[1]):
        if not read:
            kept = [*part]
            yield Left(kept[0][0], [leaf for _, leaf in kept])


def _within(run: Left, start: int, end: int) -> Iterator[Left]:
    """The part of a run within a window."""
    first = max(run.first, start)
    if leaves := run.leaves[first - run.first : max(0, end - run.first)]:
        yield Left(first, leaves)


def _seal(row: Row) -> Seal:
    log_index, chain, salt = row[:SEAL_HEAD]
    return Seal(
        int(log_index), canonical(row[SEAL_HEAD:]), bytes(chain), None if salt is None else bytes(salt)
    )
