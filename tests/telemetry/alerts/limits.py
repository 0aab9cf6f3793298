"""Trials of limits and budgets."""

from tests.telemetry.alerts.trial import Case, page, ticket

LIMITS, BUDGETS = ("parley-limits",), ("parley-budgets",)
SPENT = "The budget {} is used up ({}); turns are refused with 402."


def degraded(instance: str) -> str:
    return f'parley_rate_limit_degraded{{job="parley", instance="{instance}"}}'


def switches(instance: str) -> str:
    return f'parley_rate_limit_switches_total{{job="parley", instance="{instance}"}}'


def used(budget: str) -> str:
    return f'parley_budget_used_ratio{{job="parley", budget="{budget}"}}'


def refusals(budget: str) -> str:
    return f'parley_budget_refusals_total{{job="parley", budget="{budget}"}}'


def decisions(role: str, decision: str, policy: str = "role") -> str:
    return (
        f'parley_rate_limit_decisions_total{{job="parley", role="{role}",'
        f' decision="{decision}", policy="{policy}"}}'
    )


CASES = [
    Case(
        name="a store that is away for two minutes is told of, one that blinks is not",
        groups=LIMITS,
        series={degraded("a"): "0 0 1 1 1 1 1 0 0 0 0 0 0 0", degraded("b"): "0 0 1 0 0 0 0 0 0 0 0 0 0 0"},
        expected={
            ("1m", "LimitsDegraded"): (),
            ("3m", "LimitsDegraded"): (
                page(
                    "The shared store of limits is away for over 1m; a admits by its share alone.",
                    job="parley",
                    instance="a",
                ),
            ),
            ("6m", "LimitsDegraded"): (),
        },
    ),
    Case(
        name="a store that comes and goes",
        groups=LIMITS,
        interval="1m",
        series={switches("a"): "0+1x20", switches("b"): "0 0 0 1 1 1 1 1 2 2 2 2 2 2 2 2 2 2"},
        expected={
            ("15m", "LimitsFlapping"): (
                ticket(
                    "The shared store of limits went away and came back 15 times in 15m.",
                    job="parley",
                    instance="a",
                ),
            ),
        },
    ),
    Case(
        name="a limit that is too strict for a role; one that would be, and one that is hardly used",
        groups=LIMITS,
        interval="1m",
        series={
            decisions("AUDITOR", "allowed"): "0+3x120",
            decisions("AUDITOR", "denied"): "0+1x120",
            decisions("CFO", "allowed"): "0+9x120",
            decisions("CFO", "denied"): "0+1x120",
            decisions("AUDITEE", "allowed"): "0+3x120",
            decisions("AUDITEE", "observed"): "0+9x120",
            decisions("GUEST", "allowed"): "0+0.1x120",
            decisions("GUEST", "denied"): "0+0.1x120",
        },
        expected={
            ("80m", "RoleLimitTooStrict"): (
                ticket("25% of the requests of AUDITOR got 429 in 1h.", job="parley", role="AUDITOR"),
            ),
        },
    ),
    Case(
        name="a budget that fills up",
        groups=BUDGETS,
        interval="1m",
        series={
            used("user_day"): "0.5 0.7 0.85 0.85 0.9 1 1.05",
            used("total_month"): "0.1+0x10",
            refusals("total_month"): "0+0x10",
        },
        expected={
            ("1m", "BudgetNearlySpent"): (),
            ("4m", "BudgetNearlySpent"): (
                ticket("The fullest budget user_day is 90% used.", job="parley", budget="user_day"),
            ),
            ("4m", "BudgetSpent"): (),
            ("6m", "BudgetNearlySpent"): (),
            ("6m", "BudgetSpent"): (page(SPENT.format("user_day", "1.05"), job="parley", budget="user_day"),),
        },
    ),
    Case(
        name="turns are refused though less than all is spent, for each needs more than is left",
        groups=BUDGETS,
        interval="1m",
        series={refusals("role_day"): "0 0 0 0 0 2 2 2 2"},
        expected={
            ("4m", "BudgetSpent"): (),
            ("7m", "BudgetSpent"): (page(SPENT.format("role_day", "2"), job="parley", budget="role_day"),),
        },
    ),
    Case(
        name="a ledger that is off for half an hour, either way",
        groups=BUDGETS,
        interval="5m",
        series={'parley_budget_drift{job="parley"}': "0 -12 -12 -12 -12 -12 -12 -12 -12 0 0"},
        expected={
            ("25m", "BudgetDrift"): (),
            ("36m", "BudgetDrift"): (
                ticket("The budgets' ledger is 12 micro-dollars off the audit's rows.", job="parley"),
            ),
            ("46m", "BudgetDrift"): (),
        },
    ),
]
