"""What grows until something is full: the disk, the journal, the log of the audit, log lines.

Refuses to guess from a moment: every forecast is drawn from an hour at least.
"""

from telemetry.alerts.rule import Advice, Alert, Group, Recording, Severity

FREE = "parley_disk_free_bytes"
DAYS = f"min by (job, instance) ({FREE} / -deriv({FREE}[6h]) / seconds(1d))"
GROWN = "job:parley_audit_rows:growth1d"
LOGGED = "job_type:parley_log_lines:increase15m"

DISK = Group(
    "parley-disk",
    (
        Recording("job_instance:parley_disk:days_until_full", f"{DAYS} > 0"),
        Alert(
            name="DiskFillsSoon",
            severity=Severity.TICKET,
            expr="job_instance:parley_disk:days_until_full < 7\n"
            f"and min by (job, instance) (predict_linear({FREE}[6h], seconds(7d))) < 0",
            wait="30m",
            summary='The disk of {{ $labels.instance }} is full in {{ $value | printf "%.1f" }} days at'
            " this rate.",
            advice=Advice(
                means="Free space where the journal is falls in a line that ends within a week.",
                look="job_instance:parley_disk:days_until_full",
                run="du -sh var/*\n"
                'SELECT substr("createdAt", 1, 10) AS day, count(*) AS rows FROM "AuditEvent"'
                " GROUP BY 1 ORDER BY 1 DESC LIMIT 14;",
                do="The journal grows: the database is away (AuditWaiting). The database does (SQLite on the"
                " same disk): `parley audit retain`, or a larger disk. Neither: others share it.",
            ),
        ),
        Alert(
            name="DiskFull",
            severity=Severity.PAGE,
            expr="job_instance:parley_disk:days_until_full < 1\n"
            f"and min by (job, instance) (predict_linear({FREE}[1h], seconds(1d))) < 0",
            wait="10m",
            summary='The disk of {{ $labels.instance }} is full in {{ $value | printf "%.1f" }} days at'
            " this rate.",
            advice=Advice(
                means="Within a day no intent can be written, and new turns get 503 `audit_unwritable`.",
                look="min by (instance) (parley_disk_free_bytes)",
                run="df -h var/journal\ndu -sh var/*",
                do="Make room now. Leave the journal's folder alone: what lies there is in no database yet.",
            ),
        ),
        Alert(
            name="DiskLow",
            severity=Severity.PAGE,
            expr=f"min by (job, instance) ({FREE}) < 1e9",
            wait="2m",
            summary="{{ $value | humanize1024 }}B are free on the disk of {{ $labels.instance }}.",
            advice=Advice(
                means="However slowly it fills: there is little left.",
                look="min by (instance) (parley_disk_free_bytes)",
                run="df -h var/journal",
                do="As DiskFull.",
            ),
        ),
        Alert(
            name="JournalFillsDisk",
            severity=Severity.PAGE,
            expr="min by (job, instance) (parley_disk_free_bytes / deriv(parley_audit_bytes[1h]) /"
            " seconds(1d)) < 1\n"
            "and min by (job, instance) (deriv(parley_audit_bytes[1h])) > 0",
            wait="10m",
            summary="The journal of {{ $labels.instance }} alone fills the disk in"
            ' {{ $value | printf "%.1f" }} days.',
            advice=Advice(
                means="The database is away or too slow, and what waits for it takes the disk.",
                look="sum by (instance) (deriv(parley_audit_bytes[1h]))",
                run="curl -s localhost:3005/health/ready | jq .dependencies.database\nparley audit stats",
                do="Bring the database back: the journal shrinks as it drains. Else a larger disk.",
            ),
        ),
    ),
)

AUDIT = Group(
    "parley-growth",
    (
        Recording(GROWN, "max by (job) (parley_audit_rows) - max by (job) (parley_audit_rows offset 1d)"),
        Alert(
            name="AuditGrowth",
            severity=Severity.TICKET,
            expr=f"{GROWN} > 3 * avg_over_time({GROWN}[7d] offset 1d)\nand {GROWN} >= 10000",
            wait="30m",
            summary='{{ $value | printf "%.0f" }} audit rows were added in 1d, over three times the week\'s'
            " mean.",
            advice=Advice(
                means="More turns, or a flood of refusals: the first 20 of a caller and reason in 10 s have"
                " rows.",
                look="sum by (outcome) (increase(parley_turns_total[1d]))",
                run="parley audit stats --from DATE\n"
                'SELECT "actorId", "outcome", count(*) AS rows FROM "AuditEvent"'
                " GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 20;",
                do="Refusals: bar or talk to the caller. Turns: plan the disk (about 1.5 kB of SQLite a row)"
                " and set a retention.",
            ),
        ),
    ),
    interval="1m",
)

LOGS = Group(
    "parley-logs",
    (
        Recording(LOGGED, "sum by (job, type) (increase(parley_log_lines_total[15m]))"),
        Alert(
            name="LogVolume",
            severity=Severity.TICKET,
            expr=f"{LOGGED} > 5 * avg_over_time({LOGGED}[6h] offset 30m)\nand {LOGGED} >= 1000",
            wait="10m",
            summary='{{ $value | printf "%.0f" }} lines {{ $labels.type }} were logged in 15m, over five'
            " times the mean of 6h.",
            advice=Advice(
                means="One type of line grows out of proportion; log stores bill by volume.",
                look="topk(5, sum by (type) (rate(parley_log_lines_total[15m])))",
                run="parley audit stats",
                do="`agent_query_completed`: AGENT_LOG_SAMPLE_RATE thins them, whole traces at a time."
                " `log`: a library complains; read one. `agent_query_error`: see the category's spike.",
            ),
        ),
    ),
)
