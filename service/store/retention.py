"""Retention: old events go, a run at a time; their leaf hashes stay, so that the log can still be verified.

Refuses what no signed checkpoint covers, what is about somebody under legal hold, and the events that say
what was done to the audit.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from types import MappingProxyType

from piccolo.querystring import QueryString

from service.seal.vault import Vault
from service.store.audit import appended
from service.store.engine import Ask, Load, Script, StoreEngine
from service.store.lexicon import unlisted
from service.store.row import AuditRow
from telemetry.recorder import microseconds

RUN = 1_000
"""Events that go in one transaction."""

OLD = (
    "FROM audit_event AS event WHERE event.log_index > {} AND event.log_index < "
    "(SELECT COALESCE(MAX(size), 0) FROM audit_checkpoint) AND event.created_at < {} "
    "AND event.entity_type NOT IN ('AUDIT_ERASURE', 'AUDIT_RETENTION', 'AUDIT_HOLD', 'AUDIT_KEYS') "
    "AND NOT EXISTS (SELECT 1 FROM audit_subject AS subject JOIN audit_hold AS hold "
    "ON hold.user_id = subject.user_id WHERE subject.id = event.subject_id)"
)
FIND = f"SELECT event.log_index, event.leaf_hash {OLD} ORDER BY event.log_index LIMIT {{}}"
COUNT = f"SELECT count(*) AS events {OLD}"
TEXTS = "SELECT log_index, query FROM audit_content WHERE log_index BETWEEN {} AND {} AND query IS NOT NULL"
GONE: Sequence[str] = (
    "DELETE FROM feedback WHERE turn_id IN (SELECT id FROM audit_event WHERE log_index BETWEEN {} AND {})",
    "DELETE FROM audit_content WHERE log_index BETWEEN {} AND {}",
    "DELETE FROM audit_arguments WHERE log_index BETWEEN {} AND {}",
    "DELETE FROM audit_event_tool WHERE log_index BETWEEN {} AND {}",
    "DELETE FROM audit_event WHERE log_index BETWEEN {} AND {}",
)
TABLE, COLUMNS = "audit_tombstone", ("first", "last", "leaves", "removed_at")

Span = tuple[int, int]
"""The first and the last place of a run of events."""
Leaves = Mapping[int, bytes]
Tell = Callable[[Sequence[Span]], AuditRow]
"""The event that says what was removed."""

NONE: Leaves = MappingProxyType({})


class Retention:
    """Removes old events; any number of processes may do so at once."""

    def __init__(self, engine: StoreEngine, vault: Vault) -> None:
        self._engine, self._vault, self._dialect = engine, vault, engine.engine_type

    async def due(self, cutoff: int) -> int:
        """How many events would go; `cutoff` is microseconds since 1970 (UTC). Raises DatabaseError."""
        (row,) = await self._engine.ask(QueryString(COUNT, -1, cutoff))
        return int(row["events"])

    async def remove(self, cutoff: int, tell: Tell) -> int:
        """Remove events from before `cutoff`, at most 1,000 a transaction; gives how many went.

        Each transaction appends what `tell` makes of its runs.

        Raises:
            DatabaseError: it stopped on the way; the transactions before last.
        """
        removed, place = 0, -1
        while leaves := await self._engine.run_script(partial(self._removing, cutoff, place, tell)):
            removed, place = removed + len(leaves), max(leaves)
        return removed

    def _removing(self, cutoff: int, place: int, tell: Tell) -> Script[Leaves]:
        rows = yield Ask(QueryString(FIND, place, cutoff, RUN))
        if not rows:
            return NONE
        leaves = {int(row["log_index"]): bytes(row["leaf_hash"]) for row in rows}
        spans, now = tuple(spans_of(tuple(leaves))), microseconds()
        stones = [(*span, _leaves(leaves, span), now) for span in spans]
        yield Load(TABLE, COLUMNS, stones)
        yield from appended([tell(spans)], self._vault, self._dialect)
        for span in spans:
            yield from self._taken(span)
        return leaves

    def _taken(self, span: Span) -> Script[None]:
        if self._dialect == "sqlite":
            yield from unlisted(self._dialect, (yield Ask(QueryString(TEXTS, *span))))
        for statement in GONE:
            yield Ask(QueryString(statement, *span))


def spans_of(places: Sequence[int]) -> Iterator[Span]:
    """Places in their order -> runs without a gap."""
    first = places[0]
    for one, following in pairwise(places):
        if following != one + 1:
            yield first, one
            first = following
    yield first, places[-1]


def _leaves(leaves: Leaves, span: Span) -> bytes:
    first, last = span
    return b"".join(leaves[place] for place in range(first, last + 1))
