"""Limits and budgets: a store that is away, limits that are too strict, money that runs out.

Refuses to name a caller: `parley limits` and the audit say who.
"""

from telemetry.alerts.rule import Advice, Alert, Group, Recording, Severity

OF_ROLE = 'sum by (job, role) (increase(parley_rate_limit_decisions_total{policy="role", decision'
DENIED = f'{OF_ROLE}="denied"}}[1h]))'
ALL = f'{OF_ROLE}!="observed"}}[1h]))'

LIMITS = Group(
    "parley-limits",
    (
        Recording("job_role:parley_denied:ratio1h", f"{DENIED} / {ALL}"),
        Alert(
            name="LimitsDegraded",
            severity=Severity.PAGE,
            expr="max by (job, instance) (parley_rate_limit_degraded) == 1",
            wait="1m",
            keep="2m",
            summary="The shared store of limits is away for over 1m; {{ $labels.instance }} admits by its"
            " share alone.",
            advice=Advice(
                means="Redis does not answer this process in time. With AGENT_RATE_LIMIT_ON_LOSS=share each"
                " replica admits N / AGENT_REPLICAS; with `strict` nothing for one window.",
                look="max by (instance) (parley_rate_limit_degraded)",
                trace="parley.rate_limit.store=local",
                run="curl -s localhost:3005/health/ready | jq .dependencies.limits\nredis-cli --latency",
                do="Redis must answer in 50 ms and have maxmemory-policy noeviction. It ends by itself"
                " within 5 s of its return. The lines `limits_degraded` say why.",
            ),
        ),
        Alert(
            name="LimitsFlapping",
            severity=Severity.TICKET,
            expr="sum by (job, instance) (increase(parley_rate_limit_switches_total[15m])) > 6",
            summary="The shared store of limits went away and came back {{ $value | humanize }} times in"
            " 15m.",
            advice=Advice(
                means="A slow or overloaded Redis, or a network between; each loss may admit up to twice a"
                " limit.",
                look="sum by (instance) (increase(parley_rate_limit_switches_total[15m]))",
                run="redis-cli --latency-history\nredis-cli SLOWLOG GET 10",
                do="Give Redis a machine and a network of its own; look for BGSAVE and big keys of others.",
            ),
        ),
        Alert(
            name="RoleLimitTooStrict",
            severity=Severity.TICKET,
            expr=f"job_role:parley_denied:ratio1h > 0.2\nand {DENIED} >= 20",
            wait="15m",
            summary="{{ $value | humanizePercentage }} of the requests of {{ $labels.role }} got 429 in 1h.",
            advice=Advice(
                means="More than a fifth of a role's requests are refused: its number is too small for its"
                " work, or one of its clients does not heed Retry-After.",
                look="sum by (role, policy)"
                ' (increase(parley_rate_limit_decisions_total{decision="denied"}[1h]))',
                trace="parley.rate_limit.decision=denied",
                run="parley limits suggest\n"
                'SELECT "role", "actorId", sum("count") AS turns FROM "AuditEvent"'
                " WHERE \"code\" = 'rate_limited' GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 20;",
                do="Many actors: raise the role's number in AGENT_RATE_LIMIT_ROLES (SIGHUP takes it over)."
                " One: `parley limits suggest --without USER`, and talk to its owner.",
            ),
        ),
    ),
)

BUDGETS = Group(
    "parley-budgets",
    (
        Alert(
            name="BudgetNearlySpent",
            severity=Severity.TICKET,
            expr="max by (job, budget) (parley_budget_used_ratio) >= 0.8 < 1",
            wait="1m",
            summary="The fullest budget {{ $labels.budget }} is {{ $value | humanizePercentage }} used.",
            advice=Advice(
                means="Somebody, some role or all will soon get 402 (the label says which kind of budget).",
                look="max by (budget) (parley_budget_used_ratio)",
                run="parley usage --group-by user\nparley usage --group-by model",
                do="The lines `budget_threshold` say whose it is. Raise it, or tell them.",
            ),
        ),
        Alert(
            name="BudgetSpent",
            severity=Severity.PAGE,
            expr="max by (job, budget) (parley_budget_used_ratio) >= 1\n"
            "or sum by (job, budget) (increase(parley_budget_refusals_total[5m])) > 0",
            summary="The budget {{ $labels.budget }} is used up ({{ $value | humanize }}); turns are refused"
            " with 402.",
            advice=Advice(
                means="The number is either the part of the budget that is spent (1 and more) or the turns"
                " that were refused in five minutes because each needs more than is left.",
                look="sum by (budget) (increase(parley_budget_refusals_total[5m]))",
                trace="parley.error.code=over_budget",
                run="parley limits show USER\nparley usage --group-by user",
                do="Raise AGENT_BUDGET_* (SIGHUP takes it over) or wait for the day or the month (UTC) to"
                " end.",
            ),
        ),
        Alert(
            name="BudgetDrift",
            severity=Severity.TICKET,
            expr="max by (job) (abs(parley_budget_drift)) > 0",
            wait="30m",
            summary="The budgets' ledger is {{ $value | humanize }} micro-dollars off the audit's rows.",
            advice=Advice(
                means="The ledger that decides and the rows that prove do not say the same for half an hour.",
                look="max by (job) (parley_budget_drift)",
                run="parley limits rebuild --dry-run",
                do="`parley limits rebuild` makes the ledger of the rows again. If it comes back, keep both"
                " outputs.",
            ),
        ),
    ),
)
