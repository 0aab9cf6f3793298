"""What keeps the record: checkpoints, verdicts on the log, the journal, processes that die, prices.

Refuses to say that a log is valid: a metric tells of bad verdicts, `parley audit verify` gives one.
"""

from telemetry.alerts.audit import HEALTH, LINES, grown, lines
from telemetry.alerts.rule import Advice, Alert, Group, Severity

KEEPING = Group(
    "parley-keeping",
    (
        Alert(
            name="CheckpointOld",
            severity=Severity.TICKET,
            expr="min by (job) (parley_audit_checkpoint_age_seconds) > 300",
            wait="1m",
            summary="The audit's newest checkpoint is {{ $value | humanizeDuration }} old; one is due each"
            " minute.",
            advice=Advice(
                means="Rows that came since can be altered unseen. It is the youngest age that any process"
                " knows.",
                look="max by (instance) (parley_audit_checkpoint_age_seconds)",
                run=f"{HEALTH}\nparley audit stats\nparley audit verify --json",
                do="The database is away: see AuditWaiting. Lines `checkpoint_untold` with outlet `database`"
                " hold its words; `sink_failed` with sink `audit` says what keeps the audit's task. A log"
                " that is shorter than its newest checkpoint gets none any more: see AuditInvalid.",
            ),
        ),
        Alert(
            name="AuditInvalid",
            severity=Severity.PAGE,
            expr=grown('parley_audit_verifications_total{result="invalid"}', "1d"),
            summary='The audit log is not what was signed, say {{ $value | printf "%.0f" }} verifications.',
            advice=Advice(
                means="The service verifies the whole log once a day, and whenever it is asked by `GET"
                " /api/v1/audit/verify`. Rows were altered, deleted, inserted or reordered, or an old copy"
                " was put in the log's place. It stands for a day after the last such verdict.",
                look="sum by (instance, result) (increase(parley_audit_verifications_total[1d]))",
                run="parley audit verify --json\n"
                "jq -c 'select(.type == \"audit_invalid\")'   # on the service's stdout",
                do="Keep a copy of the database as it is, and of the places that checkpoints are told to."
                " The findings name the first place; hold it against a backup: `parley audit verify"
                " --public-key FILE --checkpoint FILE` with a key and checkpoints that were kept elsewhere."
                " Then find out who can write to the database.",
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
            name="WorkersDie",
            severity=Severity.TICKET,
            expr=grown("parley_workers_ended_total"),
            keep="5m",
            summary='{{ $value | printf "%.0f" }} workers ended in 15m without being told to.',
            advice=Advice(
                means="Processes of `parley serve --workers` died and were replaced; one that does not last"
                " is replaced ever later, up to 30 s. Turns that ran in them are TurnsInterrupted.",
                look="sum by (job) (last_over_time(parley_workers_ended_total[15m]))",
                run="jq -c 'select(.type == \"worker_ended\")'   # on the service's stdout\n"
                "dmesg | grep -i 'killed process'",
                do="`exitCode` of the line: -9 is mostly memory: give more, or fewer workers; -11 is a fault"
                " in native code: look for a core; 1 and others: the last lines of stderr.",
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
