"""The audit: rows nobody knows of, that wait too long, that were put aside; checkpoints that do not leave.

Refuses to say that a log is valid: no metric can, `parley audit verify` does.
"""

from telemetry.alerts.rule import Advice, Alert, Group, Severity

HEALTH = "curl -s localhost:3005/health/ready | jq .dependencies"
LINES = "parley_log_lines_total"


def lines(kind: str, window: str) -> str:
    """How often a type of line was written."""
    return f'sum by (job) (increase({LINES}{{type="{kind}"}}[{window}]))'


def grown(series: str) -> str:
    """By how much it grew in 15m; all of it where it is new, for a process finds much in its first second."""
    return (
        f"(sum by (job) (increase({series}[15m])) > 0\n"
        f"or sum by (job) ({series} unless last_over_time({series}[1h] offset 15m)) > 0)"
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

KEEPING = Group(
    "parley-keeping",
    (
        Alert(
            name="CheckpointMissing",
            severity=Severity.TICKET,
            expr="sum by (job) (increase(parley_audit_committed_total[15m])) > 0\n"
            f"and {lines('audit_checkpoint', '15m')} == 0\n"
            f"and {lines('agent_query_completed', '15m')} > 0",
            wait="5m",
            summary='{{ $value | printf "%.0f" }} audit rows came in 15m and no checkpoint covers them.',
            advice=Advice(
                means="Checkpoints are due every minute while rows come. Rows without one can be altered"
                " unseen. Silent where LOG_LEVEL hides INFO: it counts the lines `audit_checkpoint`.",
                look='sum by (instance) (increase(parley_log_lines_total{type="audit_checkpoint"}[15m]))',
                run="parley audit verify --json",
                do="Look for `sink_failed` with verb `routine`; check AGENT_AUDIT_SIGNING_KEY; restart one"
                " process.",
            ),
        ),
        Alert(
            name="CheckpointUntold",
            severity=Severity.TICKET,
            expr=f"{lines('checkpoint_untold', '15m')} > 0",
            keep="5m",
            summary='Checkpoints did not reach a place they are told to, {{ $value | printf "%.0f" }} times'
            " in 15m.",
            advice=Advice(
                means="The file or webhook that keeps checkpoints elsewhere did not take one. Only such a"
                " copy proves that the log's end was not cut off.",
                look='sum by (instance) (increase(parley_log_lines_total{type="checkpoint_untold"}[15m]))',
                run="jq -c 'select(.type == \"checkpoint_untold\")'   # on the service's stdout",
                do="Mend the place. The next checkpoint covers what the lost one did.",
            ),
        ),
        Alert(
            name="JournalUnsafe",
            severity=Severity.PAGE,
            expr=grown(f'{LINES}{{type="journal_unsafe"}}'),
            keep="5m",
            summary="The journal cannot be written, or lies where it may not last"
            ' ({{ $value | printf "%.0f" }} lines in 15m).',
            advice=Advice(
                means="While no intent can be written new turns get 503 `audit_unwritable` (or run and leave"
                " a gap record, AGENT_AUDIT_UNWRITABLE=continue).",
                look="min by (instance) (parley_disk_free_bytes)",
                trace="parley.error.code=audit_unwritable",
                run=f"df -h var/journal; ls -l var/journal\n{HEALTH}",
                do="Make room, or put AGENT_JOURNAL_DIR on a disk that lasts. `journal_mended` says when it"
                " is over.",
            ),
        ),
        Alert(
            name="TurnsInterrupted",
            severity=Severity.PAGE,
            expr=grown('parley_turns_total{outcome="interrupted"}') + " >= 3",
            keep="5m",
            summary='{{ $value | printf "%.0f" }} turns were interrupted in 15m: processes die with turns'
            " in them.",
            advice=Advice(
                means="A process was killed or fell while it ran turns. Whoever found its journal closed"
                " them as `interrupted`; their clients saw a broken connection.",
                look='sum by (instance) (increase(parley_turns_total{outcome="interrupted"}[15m]))',
                trace="parley.turn.outcome=interrupted",
                run="parley audit list --outcome interrupted\ndmesg | grep -i 'killed process'\n"
                "jq -c 'select(.type == \"worker_ended\")'   # on the service's stdout",
                do="`exitCode` of the line `worker_ended`, or the exit status that the supervisor saw: -9 is"
                " mostly memory. Give more, or fewer workers. Others: the last lines of stderr.",
            ),
        ),
        Alert(
            name="ModelUnpriced",
            severity=Severity.TICKET,
            expr=f'max by (job) ({LINES}{{type="model_unpriced"}}) > 0',
            summary='{{ $value | printf "%.0f" }} models may be asked that no price is known of: costs are'
            " guesses.",
            advice=Advice(
                means="AGENT_MODELS names a model that the table of prices does not know. What it costs is"
                " guessed by another's price (`parley.cost.priced_as`), and budgets count that.",
                look="sum by (model) (increase(parley_cost_total[1h]))",
                run="jq -c 'select(.type == \"model_unpriced\")'   # on the service's stdout",
                do="Add it to service/agent/prices.toml. The line `model_unpriced` names it, once at each"
                " start.",
            ),
        ),
    ),
)
