"""Signed checkpoints of the log in the database: made when one is due, and read in their order.

Refuses to sign a log that is shorter than its newest checkpoint, and to make two for one period, however many
processes ask.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct
from piccolo.querystring import QueryString

from service.errors import DatabaseError
from service.seal.merkle import Frontier
from service.store import log
from service.store.engine import Ask, Load, Script, StoreEngine

SECOND = 1_000_000
DAY = 86_400 * SECOND
EVERY_SECONDS = 60
EVERY_ROWS = 1_000
PAGE = 1_000

TABLE, COLUMNS = "audit_checkpoint", ("size", "created_at", "note")
NEWEST = QueryString(
    "SELECT size, created_at, note FROM audit_checkpoint ORDER BY size DESC, created_at DESC LIMIT 1"
)
PAGES = (
    "SELECT size, created_at, note FROM audit_checkpoint WHERE (size, created_at) > ({}, {}) "
    "ORDER BY size, created_at LIMIT {}"
)
BEFORE_ALL = -(1 << 63)

Sign = Callable[[int, bytes, bytes, int], str]
"""`sign(size, root, chain, at)` gives the signed note; `at` is microseconds since 1970 (UTC)."""


class Kept(Struct, frozen=True):
    """One checkpoint; `at` is microseconds since 1970 (UTC).

    `begins_day` is told of a new one alone: whether it is the log's first of its day (UTC).
    """

    size: int
    at: int
    note: str
    begins_day: bool = False


Due = Callable[[Kept | None, int], bool]
"""`due(newest, size)`: whether a log of that size needs another."""


class Checkpoints:
    """Makes and reads them. `newest_at` is when the newest was made, as it was last seen; None before."""

    def __init__(self, engine: StoreEngine) -> None:
        self.newest_at: int | None = None
        self._engine = engine
        self._frontier = Frontier()

    async def seal(
        self,
        sign: Sign,
        now: int,
        *,
        every_seconds: int = EVERY_SECONDS,
        every_rows: int = EVERY_ROWS,
        force: bool = False,
    ) -> Kept | None:
        """Make a checkpoint where one is due, else None: after so many rows, or seconds even without any.

        Forced, it is made at once, unless there is one of the same size and second, or no event at all.
        `now` is microseconds since 1970 (UTC). Takes the write lock only where one is due.

        Raises:
            DatabaseError: the database did not answer, or the log does not fit together.
        """
        due = partial(_hastened, now) if force else partial(_timely, now, every_seconds * SECOND, every_rows)
        if not due(await self.latest(), await self.size()):
            return None
        return await self._made(sign, now, due)

    async def covering(self, sign: Sign, now: int) -> tuple[Kept, bool]:
        """The newest checkpoint where it covers the whole log, else a new one; and whether it is new.

        Raises:
            DatabaseError: as `seal`.
        """
        newest, size = await self.latest(), await self.size()
        if newest and not _lacking(newest, size):
            return newest, False
        if made := await self._made(sign, now, _lacking):
            return made, True
        return await self.covering(sign, now)  # another process was quicker

    async def latest(self) -> Kept | None:
        """The checkpoint of the greatest size; of several the youngest."""
        return self._seen(_first(await self._engine.ask(NEWEST)))

    async def size(self) -> int:
        """How many events the log has."""
        rows = await self._engine.ask(QueryString(log.HEAD.sql))
        return int(rows[0]["log_index"]) + 1 if rows else 0

    async def pages(self, size: int = PAGE) -> AsyncGenerator[Sequence[Kept]]:
        """All checkpoints by size and time, a page at a time."""
        after = (BEFORE_ALL, BEFORE_ALL)
        while page := [*map(_kept, await self._engine.ask(QueryString(PAGES, *after, size)))]:
            yield page
            after = page[-1].size, page[-1].at

    async def _made(self, sign: Sign, now: int, due: Due) -> Kept | None:
        made, self._frontier = await self._engine.run_script(partial(self._making, sign, now, due))
        return self._seen(made)

    def _seen(self, kept: Kept | None) -> Kept | None:
        self.newest_at = kept.at if kept else self.newest_at
        return kept

    def _making(self, sign: Sign, now: int, due: Due) -> Script[tuple[Kept | None, Frontier]]:
        newest = _first((yield Ask(NEWEST)))
        frontier = yield from log.head(self._frontier)
        if newest and newest.size > frontier.size:
            raise DatabaseError(log.BROKEN)
        if not due(newest, frontier.size):
            return None, frontier
        note = sign(frontier.size, frontier.root(), frontier.chain, now)
        made = Kept(frontier.size, now, note, begins_day=not newest or newest.at // DAY != now // DAY)
        yield Load(TABLE, COLUMNS, [(made.size, made.at, made.note)])
        return made, frontier


def _timely(now: int, period: int, rows: int, newest: Kept | None, size: int) -> bool:
    """By time or by rows; a clock that was set back by more than a period stops nothing."""
    if newest is None or size < newest.size:
        return True
    age, fresh = now - newest.at, size - newest.size
    return fresh >= rows or age >= period or (fresh > 0 and age <= -period)


def _hastened(now: int, newest: Kept | None, size: int) -> bool:
    if newest is None:
        return size > 0
    return (newest.size, newest.at // SECOND) != (size, now // SECOND)


def _lacking(newest: Kept | None, size: int) -> bool:
    return newest is None or newest.size != size


def _first(rows: Sequence[Mapping[str, Any]]) -> Kept | None:
    return _kept(rows[0]) if rows else None


def _kept(row: Mapping[str, Any]) -> Kept:
    return Kept(int(row["size"]), int(row["created_at"]), str(row["note"]))
