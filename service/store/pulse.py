"""Turns as operators look at them: the log's rows added up by slots of time, a stretch of the log at once.

Refuses to hand out rows: what comes back is as much as there are outcomes, users and slots.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct
from piccolo.querystring import QueryString

from service.store.budgets.periods import periods_of
from service.store.listed import listed
from service.store.tenancy import EVERYBODY, Bound, Engine, Whose
from service.store.text import storable
from telemetry import names

SLICE: Final = 10_000_000
"""Microseconds of the slices in which errors are counted for the rule of spikes, as the alarm has them."""
MILLISECOND = 1_000
NEAR = 1_000
"""Rows of one time that are looked at for the first of them: a long turn comes later to the log."""
MOST = 10
"""Accounts of a budget that are told: the fullest."""


def _bucket(value: str, bounds: Sequence[float]) -> QueryString:
    """Which bucket of a histogram a number of milliseconds is in: as many as bounds are below it."""
    cases = " ".join(
        f"WHEN {value} <= {round(bound * MILLISECOND)} THEN {at}" for at, bound in enumerate(bounds)
    )
    return QueryString(f"CASE {cases} ELSE {len(bounds)} END")


class Dialect(Struct, frozen=True):
    """How a row's metadata is read: what the limiter said, and each of the model calls."""

    decision: str
    policy: str
    left: str
    reached: str
    calls: str
    first: str


SAID = "(CASE WHEN strpos(event.metadata, '\\u') = 0 THEN event.metadata::json END)"
"""On PostgreSQL; a character that its JSON cannot have is rare, and one such row must not hide all others."""

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        "sqlite": Dialect(
            decision="json_extract(event.metadata, '$.rateLimit.decision')",
            policy="json_extract(event.metadata, '$.rateLimit.policy')",
            left="json_extract(event.metadata, '$.rateLimit.remaining') * 1.0"
            " / NULLIF(json_extract(event.metadata, '$.rateLimit.limit'), 0)",
            reached="json_array_length(event.metadata, '$.modelCalls') > 0",
            calls="json_each(event.metadata, '$.modelCalls') AS one",
            first="json_extract(one.value, '$.firstTextMs')",
        ),
        "postgres": Dialect(
            decision=f"{SAID}->'rateLimit'->>'decision'",
            policy=f"{SAID}->'rateLimit'->>'policy'",
            left=f"({SAID}->'rateLimit'->>'remaining')::float8"
            f" / NULLIF(({SAID}->'rateLimit'->>'limit')::float8, 0)",
            reached=f"json_array_length({SAID}->'modelCalls') > 0",
            calls=f"json_array_elements({SAID}->'modelCalls') AS one",
            first="(one.value->>'firstTextMs')::bigint",
        ),
    }
)

ENDED = QueryString("event.created_at + COALESCE(event.response_time_ms, 0) * 1000")
"""When a turn was over: then its metrics were counted."""
WITHIN = "event.log_index >= {} AND event.log_index < {} AND event.entity_type = 'AGENT_QUERY'"
SEEN = (
    "SELECT {} AS ended, event.outcome, event.code, event.role, event.model, event.subject_id AS subject, "
    "event.count AS many, event.cost_micros AS cost, event.input_tokens + event.output_tokens AS tokens, "
    "event.response_time_ms AS ms, {} AS decision, {} AS policy, {} AS part_left, {} AS reached "
    "FROM audit_event AS event WHERE {}"
)
SUMS = QueryString("SUM(many) AS turns, SUM(many * cost) AS cost, SUM(many * tokens) AS tokens")
TURNS = (
    "SELECT 'turns' AS part, ended / {} AS slot, outcome AS a, code AS b, role AS c, model AS d, "
    "0 AS bucket, {}, 1.0 AS least FROM seen GROUP BY 2, 3, 4, 5, 6"
)
USERS = (
    "SELECT 'users', ended / {}, subject, role, decision, policy, 0, {}, MIN(part_left) "
    "FROM seen GROUP BY 2, 3, 4, 5, 6"
)
TIMES = (
    "SELECT 'times', ended / {}, NULL, NULL, NULL, NULL, {}, SUM(many), 0, 0, 1.0 "
    "FROM seen WHERE ms IS NOT NULL AND reached GROUP BY 2, 7"
)
SLICES = (
    "SELECT 'slices', ended / {}, code, CASE WHEN outcome = 'answered' THEN outcome END, NULL, NULL, 0, "
    "SUM(many), 0, 0, 1.0 FROM seen WHERE code IS NOT NULL OR outcome = 'answered' GROUP BY 2, 3, 4"
)
FIRSTS = (
    "SELECT 'firsts', ({}) / {}, NULL, NULL, NULL, NULL, {}, SUM(event.count), 0, 0, 1.0 "
    "FROM audit_event AS event CROSS JOIN {} WHERE {} AND {} IS NOT NULL GROUP BY 2, 7"
)
WHOLE = (
    "SELECT told.* FROM (WITH seen AS MATERIALIZED ({}) {} "
    "UNION ALL {} UNION ALL {} UNION ALL {} UNION ALL {}) AS told"
)
"""Each row is read once, whatever it is added up by; the model's calls are unfolded beside it."""


def statement(engine_type: str, start: int, end: int, step: int) -> QueryString:
    """What adds up a stretch, in one statement."""
    dialect = DIALECTS[engine_type]
    said = map(QueryString, (dialect.decision, dialect.policy, dialect.left, dialect.reached))
    within, first = QueryString(WITHIN, start, end), QueryString(dialect.first)
    turn, text = _bucket("ms", names.TURN_BUCKETS), _bucket(dialect.first, names.SECONDS_BUCKETS)
    return QueryString(
        WHOLE,
        QueryString(SEEN, ENDED, *said, within),
        QueryString(TURNS, step, SUMS),
        QueryString(USERS, step, SUMS),
        QueryString(TIMES, step, turn),
        QueryString(SLICES, SLICE),
        QueryString(FIRSTS, ENDED, step, text, QueryString(dialect.calls), within, first),
    )


HEAD = QueryString("SELECT COALESCE(MAX(log_index), -1) + 1 AS head FROM audit_event")
FIRST = (
    "SELECT MIN(near.log_index) AS first FROM (SELECT log_index FROM audit_event WHERE created_at >= {} "
    "ORDER BY created_at LIMIT {}) AS near"
)
NAMED = "SELECT id, user_id FROM audit_subject WHERE id IN ({})"
ACCOUNTS = (
    "SELECT ranked.scope, ranked.subject, ranked.period, ranked.spent, ranked.reserved FROM ("
    "SELECT scope, subject, period, spent, reserved, ROW_NUMBER() OVER ("
    "PARTITION BY scope, period ORDER BY spent + reserved DESC, subject) AS place "
    "FROM budget_ledger WHERE period IN ({})) AS ranked WHERE ranked.place <= {} "
    "ORDER BY ranked.scope, ranked.period, ranked.place"
)


class Counted(Struct, frozen=True, kw_only=True, gc=False):
    """Turns of one slot that are alike in outcome, code, role and model; cost is micro-dollars."""

    slot: int
    outcome: str | None
    code: str | None
    role: str | None
    model: str | None
    turns: int
    cost: int
    tokens: int


class Used(Struct, frozen=True, kw_only=True, gc=False):
    """Turns of one slot, user and decision; `least` is the smallest part of the limit that was left then."""

    slot: int
    subject: str | None
    role: str | None
    decision: str | None
    policy: str | None
    turns: int
    cost: int
    tokens: int
    least: float | None


class Timed(Struct, frozen=True, gc=False):
    """How many of a slot were in a bucket of the metric's histogram."""

    slot: int
    bucket: int
    number: int


class Sliced(Struct, frozen=True, gc=False):
    """How many turns of a slice of ten seconds were answered, or ended with a code."""

    slice: int
    code: str | None
    answered: bool
    turns: int


class Stretch(Struct, frozen=True, kw_only=True):
    """What a stretch of the log came to: turns by when they ended, times of those that reached the model."""

    turns: Sequence[Counted]
    users: Sequence[Used]
    times: Sequence[Timed]
    firsts: Sequence[Timed]
    slices: Sequence[Sliced]


class Account(Struct, frozen=True, kw_only=True):
    """One account of the budgets' ledger, in micro-dollars; `subject` is a random id, a role, or empty."""

    scope: str
    subject: str
    period: str
    spent: int
    reserved: int


class Pulse:
    """Asks the log; every method raises DatabaseError. Times are microseconds since 1970 (UTC)."""

    def __init__(self, engine: Engine, whose: Whose = EVERYBODY) -> None:
        self._all, self._engine = engine, Bound(engine, whose)

    def within(self, tenant: str | None) -> "Pulse":
        """The same of one tenant's turns alone; places are those of the whole log."""
        return Pulse(self._all, tenant)

    async def head(self) -> int:
        """The place in the log of the next event."""
        (row,) = await self._all.ask(HEAD)
        return int(row["head"])

    async def first(self, since: int) -> int | None:
        """The first place of those that were opened from a moment on; None where none was."""
        (row,) = await self._engine.ask(QueryString(FIRST, since, NEAR))
        return None if row["first"] is None else int(row["first"])

    async def stretch(self, start: int, end: int, step: int) -> Stretch:
        """Add up the places from `start` on and before `end`, by slots of `step` microseconds."""
        rows = await self._engine.ask(statement(self._engine.engine_type, start, end, step))
        parts: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            parts.setdefault(row["part"], []).append(row)
        return Stretch(
            turns=tuple(map(_counted, parts.get("turns", ()))),
            users=tuple(map(_used, parts.get("users", ()))),
            times=tuple(map(_timed, parts.get("times", ()))),
            firsts=tuple(map(_timed, parts.get("firsts", ()))),
            slices=tuple(map(_sliced, parts.get("slices", ()))),
        )

    async def named(self, subjects: Iterator[str] | Sequence[str]) -> Mapping[str, str]:
        """Which persons random ids stand for, as far as anybody still knows."""
        ids = [storable(each) for each in subjects]
        if not ids:
            return {}
        rows = await self._engine.ask(QueryString(NAMED, listed(self._engine.engine_type, ids)))
        return {str(row["id"]): str(row["user_id"]) for row in rows}

    async def accounts(self, at: int) -> Sequence[Account]:
        """The fullest accounts of a moment's day and month, of each scope."""
        periods = listed(self._engine.engine_type, periods_of(at))
        rows = await self._engine.ask(QueryString(ACCOUNTS, periods, MOST))
        return tuple(Account(**row) for row in rows)


def _counted(row: Mapping[str, Any]) -> Counted:
    return Counted(
        slot=int(row["slot"]),
        outcome=row["a"],
        code=row["b"],
        role=row["c"],
        model=row["d"],
        turns=int(row["turns"]),
        cost=int(row["cost"]),
        tokens=int(row["tokens"]),
    )


def _used(row: Mapping[str, Any]) -> Used:
    return Used(
        slot=int(row["slot"]),
        subject=row["a"],
        role=row["b"],
        decision=row["c"],
        policy=row["d"],
        turns=int(row["turns"]),
        cost=int(row["cost"]),
        tokens=int(row["tokens"]),
        least=None if row["least"] is None else float(row["least"]),
    )


def _timed(row: Mapping[str, Any]) -> Timed:
    return Timed(int(row["slot"]), int(row["bucket"]), int(row["turns"]))


def _sliced(row: Mapping[str, Any]) -> Sliced:
    return Sliced(int(row["slot"]), row["a"], row["b"] is not None, int(row["turns"]))
