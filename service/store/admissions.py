"""Turns as a limiter sees them, oldest first: who asked, when it was decided, what it took.

Refuses refusals that come before the limits: they cost nobody anything; and to hold more than one page.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct
from piccolo.querystring import QueryString

from service.store.tenancy import Reading

PAGE = 1_000
ALLOWED, OBSERVED, BUDGET = "allowed", "observed", "budget_"
MILLISECOND = 1_000
"""Microseconds."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

# By the time's index alone: a span is most of what is asked for, and turns are most of what is in it.
FIND = (
    "SELECT page.log_index, page.created_at, subject.user_id, page.subject_id, page.role, page.model, "
    "page.metadata, page.input_tokens + page.output_tokens AS tokens, page.cost_micros, page.occurrences, "
    "page.response_time_ms, page.writer "
    "FROM (SELECT log_index, created_at, subject_id, role, model, metadata, input_tokens, output_tokens, "
    "cost_micros, count AS occurrences, response_time_ms, writer FROM audit_event "
    "WHERE entity_type = 'AGENT_QUERY' AND (created_at, log_index) > ({}, {}) AND created_at < {} "
    "AND subject_id IS NOT NULL AND role IS NOT NULL "
    "AND (COALESCE(outcome, '') <> 'refused' OR category = 'rate_limit') "
    "ORDER BY created_at, log_index LIMIT {}) AS page "
    "LEFT JOIN audit_subject AS subject ON subject.id = page.subject_id "
    "ORDER BY page.created_at, page.log_index"
)
HEAD = QueryString("SELECT COALESCE(MAX(log_index), -1) + 1 AS head FROM audit_event")
RESETS = (
    "SELECT entity_id, MAX(created_at) AS at FROM audit_event "
    "WHERE entity_type = 'RATE_LIMIT' AND action = 'RESET' AND created_at >= {} GROUP BY entity_id"
)


class Asked(Struct, frozen=True, kw_only=True, gc=False):
    """One turn, or `count` like refusals that share a row; times are microseconds since 1970 (UTC).

    `user_id` is the person's, None for somebody who was forgotten, `subject` says who it was. `counted` is
    whether it was admitted and counted, which was so at `decided_at`: rounded up to the millisecond that is
    kept; None where nothing was decided. At `ended_at` it was over. `writer` is the journal that it came by.
    """

    log_index: int
    at: int
    user_id: str | None
    subject: str
    role: str
    tenant: str | None
    model: str | None
    tokens: int
    cost_micros: int
    count: int
    counted: bool
    decided_at: int | None
    ended_at: int
    writer: str | None


class Decided(Struct, frozen=True, rename="camel"):
    """What `metadata.rateLimit` says, as far as it matters here."""

    decision: str = ""
    policy: str = ""
    decided_at: datetime | None = None

    @property
    def counted(self) -> bool:
        """Whether a store counted it: observed over a budget, it was admitted all the same."""
        budget = self.decision == OBSERVED and self.policy.startswith(BUDGET)
        return self.decision == ALLOWED or budget


class Told(Struct, frozen=True, rename="camel"):
    """What `metadata` says, as far as it matters here."""

    rate_limit: Decided | None = None
    tenant: str | None = None


NOTHING = Told()
METADATA = msgspec.json.Decoder(Told)


class Admissions:
    """Asks the audit; every method raises DatabaseError."""

    def __init__(self, engine: Reading) -> None:
        self._engine = engine

    async def pages(self, since: int, until: int, size: int = PAGE) -> AsyncGenerator[Sequence[Asked]]:
        """The turns that were opened from `since` on and before `until`, oldest first, a page at a time."""
        place = since, -1
        while True:
            rows = await self._engine.ask(QueryString(FIND, *place, until, size))
            if rows:
                yield list(map(_asked, rows))
            if len(rows) < size:
                return
            place = int(rows[-1]["created_at"]), int(rows[-1]["log_index"])

    async def head(self) -> int:
        """The place in the log of the next event."""
        (row,) = await self._engine.ask(HEAD)
        return int(row["head"])

    async def resets(self, since: int) -> Mapping[str, int]:
        """When callers' limits last began anew, by pseudonym."""
        rows = await self._engine.ask(QueryString(RESETS, since))
        return {str(row["entity_id"]): int(row["at"]) for row in rows}


def _asked(row: Mapping[str, Any]) -> Asked:
    told = _told(row["metadata"])
    decided = told.rate_limit
    return Asked(
        log_index=int(row["log_index"]),
        at=int(row["created_at"]),
        user_id=row["user_id"],
        subject=row["subject_id"],
        role=row["role"],
        tenant=told.tenant,
        model=row["model"],
        tokens=int(row["tokens"]),
        cost_micros=int(row["cost_micros"]),
        count=int(row["occurrences"]),
        counted=decided is not None and decided.counted,
        decided_at=_moment(decided.decided_at) if decided and decided.decided_at else None,
        ended_at=int(row["created_at"]) + (row["response_time_ms"] or 0) * MILLISECOND,
        writer=row["writer"],
    )


def _told(text: str) -> Told:
    try:
        return METADATA.decode(text)
    except (msgspec.MsgspecError, UnicodeEncodeError):  # of an earlier form, or odd text
        return NOTHING


def _moment(decided: datetime) -> int:
    """What was cut to a millisecond was at most a millisecond later."""
    return (decided - EPOCH) // MICROSECOND + MILLISECOND
