"""Trials of the audit's rules."""

from tests.telemetry.alerts.spikes import turns
from tests.telemetry.alerts.trial import Case, page, ticket

ROWS, KEEPING = ("parley-audit",), ("parley-keeping",)
A = {"job": "parley", "instance": "a"}


def of(metric: str, instance: str = "a") -> str:
    return f'parley_audit_{metric}{{job="parley", instance="{instance}"}}'


def lines(kind: str) -> str:
    return f'parley_log_lines_total{{job="parley", instance="a", type="{kind}"}}'


def verdicts(result: str, instance: str) -> str:
    return f'parley_audit_verifications_total{{job="parley", instance="{instance}", result="{result}"}}'


def workers(instance: str) -> str:
    return f'parley_workers_ended_total{{job="parley", instance="{instance}"}}'


def sinks(sink: str) -> str:
    return f'parley_sink_failures_total{{job="parley", instance="a", sink="{sink}"}}'


CASES = [
    Case(
        name="two rows are nowhere; a row on its way for a moment is not",
        groups=ROWS,
        series={of("balance"): "0 0 2 2 2 2 2 2 2 2", of("balance", "b"): "0 0 0 0 0 1 0 0 0 0"},
        expected={
            ("1m", "AuditBalance"): (),
            ("4m", "AuditBalance"): (page("2 audit rows of a are nowhere to be found.", **A),),
        },
    ),
    Case(
        name="a database that is away for ten minutes, then for an hour and a half",
        groups=ROWS,
        series={of("oldest_age_seconds"): "0 0 0+30x180 0x20", of("oldest_age_seconds", "b"): "20x200"},
        expected={
            ("5m", "AuditWaiting"): (),
            ("10m", "AuditWaiting"): (
                ticket("The oldest audit row of a waits for the database for 9m 0s.", **A),
            ),
            ("10m", "AuditStuck"): (),
            ("85m", "AuditStuck"): (page("Audit rows of a have waited for 1h 24m 0s.", **A),),
            ("99m", "AuditStuck"): (),
        },
    ),
    Case(
        name="a row that the database refuses, the first ever",
        groups=ROWS,
        series={of("quarantined_total"): "0x20 1x200"},
        expected={
            ("9m", "AuditQuarantine"): (),
            ("60m", "AuditQuarantine"): (
                ticket("1 audit rows were put aside in 1h: the database refuses them.", job="parley"),
            ),
            ("105m", "AuditQuarantine"): (),
        },
    ),
    Case(
        name="a plug-in that fails",
        groups=ROWS,
        series={sinks("mine"): "0x20 0+1x20", sinks("logs"): "7x40"},
        expected={
            ("9m", "SinkFailing"): (),
            ("20m", "SinkFailing"): (
                ticket("The sink mine failed 10 times in 5m.", job="parley", sink="mine"),
            ),
        },
    ),
    Case(
        name="checkpoints that are not made any more, as every process sees; one that lags is not the log",
        groups=KEEPING,
        series={
            of("checkpoint_age_seconds"): "0 30 0 30 0 30 0+30x60 0x20",
            of("checkpoint_age_seconds", "b"): "30 0 30 0 30 0 0+30x60 0x20",
            'parley_audit_checkpoint_age_seconds{job="other", instance="a"}': "0+30x90",
            'parley_audit_checkpoint_age_seconds{job="other", instance="b"}': "0 30 0 30 0x90",
        },
        expected={
            ("5m", "CheckpointOld"): (),
            ("13m", "CheckpointOld"): (
                ticket("The audit's newest checkpoint is 10m 0s old; one is due each minute.", job="parley"),
            ),
            ("40m", "CheckpointOld"): (),
        },
    ),
    Case(
        name="a log that is not what was signed, told in a process's first second, and after its end",
        groups=KEEPING,
        interval="5m",
        every="5m",
        series={
            verdicts("valid", "a"): "1x200 2x300",
            verdicts("invalid", "a"): "0x500",
            verdicts("valid", "b"): "_x100 0x20",
            verdicts("invalid", "b"): "_x100 1x20",
        },
        expected={
            ("490m", "AuditInvalid"): (),
            ("510m", "AuditInvalid"): (
                page("The audit log is not what was signed, say 1 verifications.", job="parley"),
            ),
            ("20h", "AuditInvalid"): (
                page("The audit log is not what was signed, say 1 verifications.", job="parley"),
            ),
            ("35h", "AuditInvalid"): (),
        },
    ),
    Case(
        name="a log that is found to be wrong by a process that was there",
        groups=KEEPING,
        series={verdicts("invalid", "a"): "0x40 1x40"},
        expected={
            ("19m", "AuditInvalid"): (),
            ("30m", "AuditInvalid"): (
                page("The audit log is not what was signed, say 1 verifications.", job="parley"),
            ),
        },
    ),
    Case(
        name="two workers die, one of those who took their places too; one starts for the first time",
        groups=KEEPING,
        series={
            workers("a"): "0x40",
            workers("b"): "0x200",
            workers("c"): "_x41 1x10",
            workers("d"): "_x51 1x149",
            workers("e"): "_x150 0x50",
        },
        expected={
            ("20m", "WorkersDie"): (),
            ("30m", "WorkersDie"): (ticket("2 workers ended in 15m without being told to.", job="parley"),),
            ("60m", "WorkersDie"): (),
            ("90m", "WorkersDie"): (),
        },
    ),
    Case(
        name="lines of which one is enough, the first ever too",
        groups=KEEPING,
        series={
            lines("checkpoint_untold"): "0x40 3x40",
            lines("journal_unsafe"): "0x40 3x40",
            lines("model_unpriced"): "_x200 1x10",
            turns("interrupted"): "0x40 2x80 8x40",
        },
        expected={
            ("19m", "CheckpointUntold"): (),
            ("19m", "JournalUnsafe"): (),
            ("19m", "ModelUnpriced"): (),
            ("25m", "TurnsInterrupted"): (),
            ("30m", "CheckpointUntold"): (
                ticket("Checkpoints did not reach a place they are told to, 3 times in 15m.", job="parley"),
            ),
            ("30m", "JournalUnsafe"): (
                page(
                    "The journal cannot be written, or lies where it may not last (3 lines in 15m).",
                    job="parley",
                ),
            ),
            ("65m", "TurnsInterrupted"): (
                page("6 turns were interrupted in 15m: processes die with turns in them.", job="parley"),
            ),
            ("104m", "ModelUnpriced"): (
                ticket("1 models may be asked that no price is known of: costs are guesses.", job="parley"),
            ),
        },
    ),
    Case(
        name="what a process finds in its first second, and a restart without news",
        groups=KEEPING,
        series={
            turns("interrupted", "a"): "7x100",
            turns("interrupted", "b"): "_x100 4x100",
            lines("journal_unsafe"): "1x100 _x6 1x100",
        },
        expected={
            ("49m", "TurnsInterrupted"): (),
            ("55m", "TurnsInterrupted"): (
                page("4 turns were interrupted in 15m: processes die with turns in them.", job="parley"),
            ),
            ("80m", "TurnsInterrupted"): (),
            ("49m", "JournalUnsafe"): (),
            ("55m", "JournalUnsafe"): (),
        },
    ),
]
