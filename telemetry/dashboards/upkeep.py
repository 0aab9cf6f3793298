"""Panels on what holds: limits, budgets, the audit, and what grows.

Refuses to name a caller: no label does.
"""

from telemetry.dashboards.panel import Kind, Panel, Query, Section
from telemetry.dashboards.questions import RATE, gauge, hourly, rate

DENIED = '{decision="denied"}'
LIMITS = Section(
    "Limits",
    (
        Panel(
            title="Decisions",
            queries=(rate("decision", "parley_rate_limit_decisions_total"),),
            said="`observed` is a refusal that was not carried out.",
            unit="ops",
            stacked=True,
        ),
        Panel(
            title="Share of 429 by role",
            queries=(Query("job_role:parley_denied:ratio1h", "{{role}}"),),
            said="Which role is near its number; who in it is told by `parley limits suggest`.",
            unit="percentunit",
            kind=Kind.BARS,
            alarm=0.2,
        ),
        Panel(
            title="Refusals by policy",
            queries=(rate("policy", f"parley_rate_limit_decisions_total{DENIED}"),),
            said="Which limit stands in the way.",
            unit="ops",
            stacked=True,
        ),
        Panel(
            title="Shared store away",
            queries=(gauge("max by (instance) (parley_rate_limit_degraded)"),),
            said="1 while a process decides by its share alone.",
            alarm=1,
        ),
        Panel(
            title="Store went or came back",
            queries=(hourly("instance", "parley_rate_limit_switches_total"),),
            said="In an hour.",
        ),
    ),
)

BUDGETS = Section(
    "Budgets",
    (
        Panel(
            title="Used",
            queries=(gauge("max by (budget) (parley_budget_used_ratio)", "{{budget}}"),),
            said="Of the fullest budget of each kind.",
            unit="percentunit",
            kind=Kind.BARS,
            alarm=0.8,
        ),
        Panel(
            title="Refused with 402",
            queries=(hourly("budget", "parley_budget_refusals_total"),),
            said="Turns in an hour that a budget refused.",
            alarm=1,
        ),
        Panel(
            title="Drift",
            queries=(gauge("max by (job) (parley_budget_drift)", "{{job}}"),),
            said="Micro-dollars that the ledger is off the audit's rows: 0.",
            kind=Kind.NUMBER,
            alarm=1,
        ),
    ),
)

AUDIT = Section(
    "Audit",
    (
        Panel(
            title="Balance",
            queries=(gauge("sum(parley_audit_balance)", "rows nobody knows of"),),
            said="Owed - committed - waiting - put aside: 0, always.",
            kind=Kind.NUMBER,
            alarm=1,
            width=4,
        ),
        Panel(
            title="Put aside",
            queries=(gauge("sum(parley_audit_quarantined_total)", "rows"),),
            said="Rows that the database refused for good.",
            kind=Kind.NUMBER,
            alarm=1,
            width=4,
        ),
        Panel(
            title="Owed and committed",
            queries=(
                Query(f"sum(rate(parley_audit_begun_total[{RATE}]))", "owed"),
                Query(f"sum(rate(parley_audit_committed_total[{RATE}]))", "committed"),
            ),
            said="Two lines that lie on each other.",
            unit="ops",
        ),
        Panel(
            title="Waiting",
            queries=(gauge("max by (instance) (parley_audit_journaled)"),),
            said="Rows in the journal that are not in the database yet.",
        ),
        Panel(
            title="Oldest row that waits",
            queries=(gauge("max by (instance) (parley_audit_oldest_age_seconds)"),),
            said="More than five minutes is a ticket, an hour wakes somebody.",
            unit="s",
            alarm=300,
        ),
        Panel(
            title="Events in the log",
            queries=(gauge("max by (job) (parley_audit_rows)", "{{job}}"),),
            said="The log only grows.",
        ),
        Panel(
            title="Checkpoints",
            queries=(
                Query(
                    "sum by (type) (increase(parley_log_lines_total"
                    '{type=~"audit_checkpoint|checkpoint_untold"}[15m]))',
                    "{{type}}",
                ),
            ),
            said="Signed, and told elsewhere; or not.",
        ),
        Panel(
            title="Age of the newest checkpoint",
            queries=(gauge("min by (job) (parley_audit_checkpoint_age_seconds)", "{{job}}"),),
            said="One is due every minute; more than five is a ticket.",
            unit="s",
            alarm=300,
        ),
        Panel(
            title="Verdicts on the log",
            queries=(
                Query("sum by (result) (increase(parley_audit_verifications_total[1d]))", "{{result}}"),
            ),
            said="In a day; the service verifies the whole log once itself. An invalid one wakes somebody.",
        ),
        Panel(
            title="Sinks that fail",
            queries=(hourly("sink", "parley_sink_failures_total"),),
            said="In an hour.",
            alarm=1,
        ),
    ),
)

GROWTH = Section(
    "What grows",
    (
        Panel(
            title="Free disk",
            queries=(gauge("min by (instance) (parley_disk_free_bytes)"),),
            said="Where the journal is.",
            unit="bytes",
        ),
        Panel(
            title="Days until the disk is full",
            queries=(gauge("job_instance:parley_disk:days_until_full"),),
            said="At the rate of the last six hours; nothing where it does not fill.",
            kind=Kind.NUMBER,
            unit="d",
        ),
        Panel(
            title="Journal",
            queries=(gauge("max by (instance) (parley_audit_bytes)"),),
            said="It shrinks as the database takes its rows.",
            unit="bytes",
        ),
        Panel(
            title="Rows a day",
            queries=(Query("job:parley_audit_rows:growth1d", "{{job}}"),),
            said="Three times the week's mean is a ticket.",
        ),
        Panel(
            title="Log lines by type",
            queries=(rate("type", "parley_log_lines_total"),),
            said="Lines on stdout.",
            stacked=True,
            width=16,
        ),
    ),
)
