"""The audit's rows in the database: batches in, each whole or not at all, each row sealed at its place.

Refuses to write an event twice: whatever id is already there stays as it is, its content too.
"""

import asyncio
from collections.abc import Sequence
from functools import partial

from piccolo.querystring import QueryString

from service.seal.merkle import Frontier
from service.seal.vault import Vault
from service.store import log, subjects
from service.store.budgets.settling import Charge, settle
from service.store.engine import Ask, Load, Plain, Script, StoreEngine
from service.store.listed import listed
from service.store.row import AuditRow
from service.store.sealing import ARGUMENTS, CONTENT, EVENT, TILE, TOOL, WORDS, Sealed, seal
from service.store.text import storable
from service.store.weighing import Weighed, weigh
from telemetry.recorder import microseconds

SUBJECT_ID, ROLE = EVENT.index("subject_id"), EVENT.index("role")
SLICE = 32
"""Rows that are weighed at once, before others may go on."""
NEWEST = Plain("SELECT max(id) AS id, EXISTS (SELECT 1 FROM budget_ledger) AS budgeted FROM audit_event")
PRESENT = "SELECT id FROM audit_event WHERE id IN ({})"
LOG_ID = QueryString("SELECT log_id FROM audit_log")
SET_ASIDE = "SELECT id FROM audit_quarantine WHERE id = {}"
ASIDE = QueryString("SELECT COUNT(*) AS rows FROM audit_quarantine")
QUARANTINE = ("id", "subject_id", "writer", "writer_seq", "reason", "raw", "created_at")


class AuditStore:
    """Where audit rows end up: numbered, hashed and chained in the order in which they are appended."""

    def __init__(self, engine: StoreEngine, vault: Vault) -> None:
        self._engine, self._vault, self._dialect = engine, vault, engine.engine_type
        self._frontier = Frontier()

    @property
    def overlaps(self) -> bool:
        """Whether to give the next rows while some are written: a server writes them, not this process."""
        return self._dialect != "sqlite"

    @property
    def size(self) -> int:
        """Events in the log, as far as this process has seen it."""
        return self._frontier.size

    async def log_id(self) -> str:
        """Which log this is: 32 hex characters, made with the database; raises DatabaseError."""
        (row,) = await self._engine.run_querystring(LOG_ID)
        return str(row["log_id"])

    async def quarantined(self) -> int:
        """How many rows were put aside; raises DatabaseError."""
        (row,) = await self._engine.run_querystring(ASIDE)
        return int(row["rows"])

    async def append(self, rows: Sequence[AuditRow]) -> frozenset[str]:
        """Write the rows and their content in one transaction; ids that are already there change nothing.

        May be called again with the same rows at any time. Some hundred to a thousand are a good size: the
        write lock is held for the whole call. Where calls overlap they write in the order in which they
        came to it. Cancelled while it runs, the batch may still be written. Gives the ids that were not
        there before.

        Raises:
            DatabaseError: Nothing was written, or nobody knows; RowRefused where a row is not acceptable.
        """
        batch = tuple({row.id: row for row in reversed(rows)}.values())[::-1]
        if not batch:
            return frozenset()
        script = partial(self._appending, batch)
        if self.overlaps:
            script = partial(self._placing, await self._weighed(batch))
        self._frontier, fresh = await self._engine.run_script(script)
        return frozenset(row.id for row in fresh)

    async def quarantine(self, row: AuditRow, reason: str, raw: bytes) -> None:
        """Put a row aside that the database refuses; `raw` is all of it, in a form that can be read again.

        Raises:
            DatabaseError: It is neither there nor here.
        """
        await self._engine.run_script(partial(self._setting_aside, row, reason, raw))

    async def _weighed(self, batch: Sequence[AuditRow]) -> Sequence[Weighed]:
        weighed: list[Weighed] = []
        for start in range(0, len(batch), SLICE):
            weighed += weigh(batch[start : start + SLICE], self._vault)
            await asyncio.sleep(0)
        return weighed

    def _appending(self, batch: Sequence[AuditRow]) -> Script[tuple[Frontier, Sequence[Weighed]]]:
        return (yield from appended(batch, self._vault, self._dialect, self._frontier))

    def _placing(self, weighed: Sequence[Weighed]) -> Script[tuple[Frontier, Sequence[Weighed]]]:
        return (yield from _placed(weighed, self._vault, self._dialect, self._frontier))

    def _setting_aside(self, row: AuditRow, reason: str, raw: bytes) -> Script[None]:
        row_id = storable(row.id)
        if (yield Ask(QueryString(SET_ASIDE, row_id))):
            return
        named = yield from subjects.named(_asked([row]), self._vault, self._dialect, microseconds())
        subject = named.of(row.actor_id, row.created_at)
        erased = subject is not None and subject.user_id is None
        values = (
            *(row_id, subject.id if subject else None, row.writer, row.writer_seq, reason),
            *(None if erased else self._vault.seal(raw, row_id), microseconds()),
        )
        yield Load("audit_quarantine", QUARANTINE, [values])
        if row.lease:  # it is in no sum: what was put aside for it goes back
            yield from settle([Charge(row_id, None, None, 0, 0, row.lease)], self._dialect)


def appended(
    batch: Sequence[AuditRow], vault: Vault, dialect: str, known: Frontier | None = None
) -> Script[tuple[Frontier, Sequence[Weighed]]]:
    """Append rows to the log as part of a script; gives its end and those that were not there before.

    `known` is the log's end as far as the caller knows it. Raises as `AuditStore.append` does.
    """
    return (yield from _placed(weigh(batch, vault), vault, dialect, known or Frontier()))


def _placed(
    weighed: Sequence[Weighed], vault: Vault, dialect: str, frontier: Frontier
) -> Script[tuple[Frontier, Sequence[Weighed]]]:
    (newest,) = yield NEWEST
    fresh = yield from _fresh(weighed, newest["id"], dialect)
    if not fresh:
        return frontier, ()
    named = yield from subjects.named(_asked(fresh), vault, dialect, microseconds())
    sealed = seal(fresh, named, (yield from log.head(frontier)))
    yield from _loaded(sealed, dialect)
    if newest["budgeted"] and (charges := _charges(fresh, sealed)):
        yield from settle(charges, dialect)
    return sealed.frontier, fresh


def _charges(fresh: Sequence[Weighed], sealed: Sealed) -> Sequence[Charge]:
    """What is new and costs something, or had money put aside for it."""
    return [
        Charge(row.id, event[SUBJECT_ID], event[ROLE], row.created_at, row.charged, row.lease)
        for row, event in zip(fresh, sealed.events, strict=True)
        if row.charged or row.lease
    ]


def _fresh(batch: Sequence[Weighed], newest: str | None, dialect: str) -> Script[Sequence[Weighed]]:
    """Those that are not there: above the greatest id nothing needs to be looked for."""
    # Compared as both databases do: the order of UTF-8's bytes is that of the characters' numbers.
    old = [row.id for row in batch if row.id <= newest] if newest is not None else ()
    if not old:
        return batch
    present = {row["id"] for row in (yield Ask(QueryString(PRESENT, listed(dialect, old))))}
    return [row for row in batch if row.id not in present]


def _asked(rows: Sequence[Weighed] | Sequence[AuditRow]) -> Sequence[tuple[str, int]]:
    return [(row.actor_id, row.created_at) for row in rows if row.actor_id is not None]


def _loaded(sealed: Sealed, dialect: str) -> Script[None]:
    """Everything that a batch adds, table by table."""
    yield Load("audit_event", EVENT, sealed.events)
    if sealed.contents:
        yield Load("audit_content", CONTENT[dialect], sealed.contents_for(dialect))
    if dialect == "sqlite" and (words := sealed.words()):
        yield Load("audit_words", WORDS, words)
    if sealed.tools:
        yield Load("audit_event_tool", TOOL, sealed.tools)
    if sealed.arguments:
        yield Load("audit_arguments", ARGUMENTS, sealed.arguments)
    if sealed.tiles:
        yield Load("audit_tile", TILE, sealed.tiles)
