"""What the board tells, as JSON has it. Costs are US dollars, times of turns seconds, moments ISO 8601 (UTC).

Refuses content: there are numbers here, and names only for those who may see them.
"""

from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct

from service.web.health import Dependency

Named = Callable[[str], str]
"""A person -> what stands for them."""
Numbers = tuple[float, ...]
"""One for each slot, the oldest first."""
Gaps = tuple[float | None, ...]
"""The same; null where there is nothing to say."""
Level = Literal["well", "watch", "bad"]


class View(Struct, frozen=True, kw_only=True, rename="camel"):
    """What all parts are."""


class BoardItem(View, frozen=True):
    """Something that is not well: in words, and the part of the board that shows it."""

    level: Literal["watch", "bad"]
    words: str
    part: str


class BoardStatus(View, frozen=True):
    """One line for a person at night: the worst of its items, and what they are."""

    level: Level
    items: tuple[BoardItem, ...]


class TurnCounts(View, frozen=True):
    """`parley.turns` by outcome: in all, and slot by slot."""

    total: int
    by_outcome: Mapping[str, int]
    series: Mapping[str, Numbers]


class ErrorKind(View, frozen=True):
    """`parley.errors` of one category and fault."""

    category: str
    fault: str
    count: int


class ErrorSpike(View, frozen=True):
    """A category's errors over the alarm's rule, for as long as it took; `to` is null while it goes on.

    `count` is the most in five minutes, `baseline` what was usual.
    """

    name: str
    category: str
    severity: str
    since: str
    until: str | None
    count: int
    baseline: float
    runbook: str


class ErrorCounts(View, frozen=True):
    """Turns that ended with an error, and spikes of them."""

    total: int
    by_category: tuple[ErrorKind, ...]
    series: Mapping[str, Numbers]
    spikes: tuple[ErrorSpike, ...]


class Percentiles(View, frozen=True):
    """Half, 19 of 20 and 99 of 100 took at most so many seconds, by the metric's own buckets."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None
    series: Mapping[str, Gaps]


class DecisionCount(View, frozen=True):
    """`parley.rate_limit.decisions` of one decision and policy; `observed` would have been refused."""

    decision: str
    policy: str
    count: int


class NearLimit(View, frozen=True):
    """How much of the role's limit a user had left at the least, as a part of 1."""

    user: str
    role: str
    left: float
    turns: int


class RefusedUser(View, frozen=True):
    """How often a user was refused by a policy, or would have been."""

    user: str | None
    role: str | None
    policy: str
    decision: str
    count: int


class LimitCounts(View, frozen=True):
    """What the limiter decided, and for whom it came close."""

    mode: str
    decisions: tuple[DecisionCount, ...]
    series: Mapping[str, Numbers]
    near: tuple[NearLimit, ...]
    refused: tuple[RefusedUser, ...]


class BudgetAccount(View, frozen=True):
    """How a budget stands now; `subject` is a user, a role, or empty for all."""

    name: str
    subject: str
    period: str
    limit: float
    spent: float
    reserved: float


class CostRow(View, frozen=True):
    """What some turns came to; `key` is null where there is none."""

    key: str | None
    turns: int
    tokens: int
    cost: float


class CostCounts(View, frozen=True):
    """`parley.cost`: in all, slot by slot, and by whom; of users those who cost most."""

    total: float
    tokens: int
    series: Numbers
    by_user: tuple[CostRow, ...]
    by_role: tuple[CostRow, ...]
    by_model: tuple[CostRow, ...]
    by_day: tuple[CostRow, ...]


class AuditState(View, frozen=True):
    """The record: rows of the log, rows put aside and newest checkpoint of all processes; else of this one.

    `oldest` is since when a row waits for the database, `verified` when this process last verified the whole
    log, and `valid` what it found; null where there is none.
    """

    enabled: bool
    rows: int
    quarantined: int
    checkpoint: str | None
    waiting: int
    oldest: str | None
    balance: int
    fault: str
    verified: str | None
    valid: bool | None


class ProcessState(View, frozen=True):
    """What is of the process that answered alone, by its number: another one has its own."""

    number: int
    running: int
    queues: Mapping[str, int]


class FiringAlert(View, frozen=True):
    """An alarm that stands on the machine that answered; `labels` say of what."""

    name: str
    severity: str
    summary: str
    since: str
    runbook: str
    labels: Mapping[str, str]


class OperationsReport(View, frozen=True):
    """The board. Slots are `step` seconds each, the first from `since` on; the last has not ended.

    `complete` is false while what was before is still being read; `again` is the seconds after which asking
    again is worth while. `fault` says why the numbers are of an earlier moment; null where they are not.
    """

    period: str
    since: str
    at: str
    step: int
    slots: tuple[int, ...]
    complete: bool
    fault: str | None
    again: int
    status: BoardStatus
    turns: TurnCounts
    errors: ErrorCounts
    latency: Percentiles
    first_text: Percentiles
    limits: LimitCounts
    budgets: tuple[BudgetAccount, ...]
    cost: CostCounts
    audit: AuditState
    dependencies: Mapping[str, Dependency]
    alerts: tuple[FiringAlert, ...]
    process: ProcessState
