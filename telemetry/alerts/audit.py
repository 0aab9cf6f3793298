"""The audit's rows: those nobody knows of, that wait too long, that were put aside.

Refuses to say that they are what was signed: see keeping.py.
"""

from telemetry.alerts.rule import Advice, Alert, Group, Severity

HEALTH = "curl -s localhost:3005/health/ready | jq .dependencies"
LINES = "parley_log_lines_total"


def lines(kind: str, window: str) -> str:
    """How often a type of line was written."""
    return f'sum by (job) (increase({LINES}{{type="{kind}"}}[{window}]))'


def grown(series: str, window: str = "15m") -> str:
    """By how much it grew; all of it where it is new, for a process finds much in its first second."""
    return (
        f"(sum by (job) (increase({series}[{window}])) > 0\n"
        f"or sum by (job) (last_over_time({series}[{window}])"
        f" unless last_over_time({series}[1h] offset {window})) > 0)"
    )


ROWS = Group(
    "parley-audit",
    (
        Alert(
            name="AuditBalance",
            severity=Severity.PAGE,
            expr="sum by (job, instance) (parley_audit_balance) != 0",
            wait="2m",
            summary="{{ $value | humanize }} audit rows of {{ $labels.instance }} are nowhere to be found.",
            advice=Advice(
                means="Rows that are owed are neither in the database, nor in the journal, nor in"
                " quarantine; or some are there twice (a negative number). This should never be.",
                look="parley_audit_begun_total - parley_audit_committed_total -"
                " parley_audit_quarantined_total - parley_audit_journaled",
                run="parley audit stats --json\nparley audit verify --json",
                do="Copy AGENT_JOURNAL_DIR before anything else, then let the process go on. Compare turn"
                " ids of the lines `agent_query_*` with the rows; report it with both.",
            ),
        ),
        Alert(
            name="AuditWaiting",
            severity=Severity.TICKET,
            expr="max by (job, instance) (parley_audit_oldest_age_seconds) > seconds(5m)",
            wait="1m",
            summary="The oldest audit row of {{ $labels.instance }} waits for the database for"
            " {{ $value | humanizeDuration }}.",
            advice=Advice(
                means="The database is away, or slower than turns come. Rows are safe in the journal;"
                " answers go on.",
                look="max by (instance) (parley_audit_journaled)",
                run=f"{HEALTH}\nparley audit stats",
                do="Bring the database back; the journal drains by itself. Watch DiskFull meanwhile.",
            ),
        ),
        Alert(
            name="AuditStuck",
            severity=Severity.PAGE,
            expr="max by (job, instance) (parley_audit_oldest_age_seconds) > seconds(1h)",
            wait="1m",
            summary="Audit rows of {{ $labels.instance }} have waited for {{ $value | humanizeDuration }}.",
            advice=Advice(
                means="For an hour no row reached the database. Its readers see an old record; the journal"
                " grows.",
                look="max by (instance) (parley_audit_oldest_age_seconds)",
                run=f"{HEALTH}\nparley check",
                do="As AuditWaiting. If the database is there and others write to it, look for lines"
                " `sink_failed` with sink `audit`: they hold its words.",
            ),
        ),
        Alert(
            name="AuditQuarantine",
            severity=Severity.TICKET,
            expr="sum by (job) (increase(parley_audit_quarantined_total[1h])) > 0",
            summary='{{ $value | printf "%.0f" }} audit rows were put aside in 1h: the database refuses'
            " them.",
            advice=Advice(
                means="The database said no to a row for a reason that will not pass. The row lies whole in"
                " the table audit_quarantine, with the reason, and is missing from the log.",
                look="sum by (instance) (increase(parley_audit_quarantined_total[1h]))",
                run="parley audit stats --json\n"
                "SELECT id, reason, created_at FROM audit_quarantine ORDER BY id DESC;",
                do="The line `sink_failed` (sink `audit`, verb `append`) names it too. Mostly a table was"
                " altered by hand: bring it back by `parley migrate`, so that no more follow.",
            ),
        ),
        Alert(
            name="SinkFailing",
            severity=Severity.TICKET,
            expr="sum by (job, sink) (increase(parley_sink_failures_total[5m])) > 0",
            keep="5m",
            summary='The sink {{ $labels.sink }} failed {{ $value | printf "%.0f" }} times in 5m.',
            advice=Advice(
                means="A telling of turns (log, metrics, audit, or a plug-in) raised or dropped what it was"
                " told. The other sinks and the answers are not touched.",
                look="sum by (sink) (increase(parley_sink_failures_total[5m]))",
                run="jq -c 'select(.type == \"sink_failed\")'   # on the service's stdout",
                do="The line holds the error. `audit`: see AuditWaiting and JournalUnsafe. A plug-in's: take"
                " it out of AGENT_SINKS until its owner has mended it.",
            ),
        ),
    ),
)
