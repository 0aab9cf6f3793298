"""Verdict -> RateLimit, the fact that record, headers, log and metrics are told of.

Refuses to choose among refusals by chance: the one that lasts longest speaks for all.
"""

from service.limits.budget import BudgetStanding
from service.limits.demand import Kind, Standing, Verdict
from telemetry.record import Allowance, Decision, RateLimit

DAY_MS = 86_400_000
LEASE_WAIT_MS = 1_000
"""After which a turn under way may well have ended; when it does nobody knows."""
LOCAL = "local"
"""The store of a decision that was made while the shared one was away."""


def limit_of(verdict: Verdict, decided_at: int, refusing: Decision) -> RateLimit:
    """The decision over counts; `refusing` is what a denial is called: denied, or observed."""
    denied = verdict.denied
    told = denied or verdict.standings[0]
    return RateLimit(
        decision=refusing if denied else Decision.ALLOWED,
        policy=told.rule.name,
        limit=told.rule.limit,
        window_ms=told.rule.window_ms,
        remaining=told.remaining,
        reset_ms=told.reset_ms,
        retry_after_ms=_wait(denied) if denied else 0,
        store=verdict.store,
        degraded=verdict.store == LOCAL,
        decided_at=decided_at,
        allowances=tuple(map(_allowance, verdict.standings)),
    )


def over(budget: BudgetStanding, counted: RateLimit, refusing: Decision) -> RateLimit:
    """The decision over money that refused, beside what was counted; its numbers are micro-dollars."""
    return RateLimit(
        decision=refusing,
        policy=f"budget_{budget.name}",
        limit=budget.limit,
        window_ms=DAY_MS if budget.name.endswith("day") else 31 * DAY_MS,
        remaining=max(0, budget.limit - budget.spent - budget.reserved),
        reset_ms=budget.reset_ms,
        retry_after_ms=budget.reset_ms,
        store=counted.store,
        degraded=counted.degraded,
        decided_at=counted.decided_at,
        allowances=counted.allowances,
    )


def _wait(denied: Standing) -> int:
    if denied.rule.kind is Kind.LEASE:
        return LEASE_WAIT_MS
    return denied.rule.window_ms if denied.wait_ms is None else denied.wait_ms


def _allowance(standing: Standing) -> Allowance:
    return Allowance(
        policy=standing.rule.name,
        limit=standing.rule.limit,
        window_ms=standing.rule.window_ms,
        remaining=standing.remaining,
        reset_ms=standing.reset_ms,
    )
