"""Trials of the audit's rules."""

from tests.telemetry.alerts.spikes import turns
from tests.telemetry.alerts.trial import Case, page, ticket

ROWS, KEEPING = ("parley-audit",), ("parley-keeping",)
A = {"job": "parley", "instance": "a"}


def of(metric: str, instance: str = "a") -> str:
    return f'parley_audit_{metric}{{job="parley", instance="{instance}"}}'


def lines(kind: str) -> str:
    return f'parley_log_lines_total{{job="parley", instance="a", type="{kind}"}}'


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
        name="rows come and checkpoints do not; they did before",
        groups=KEEPING,
        series={
            of("committed_total"): "0+2x140",
            lines("agent_query_completed"): "0+2x140",
            lines("audit_checkpoint"): "0+0.5x40 20x100",
        },
        expected={
            ("20m", "CheckpointMissing"): (),
            ("50m", "CheckpointMissing"): (
                ticket("60 audit rows came in 15m and no checkpoint covers them.", job="parley"),
            ),
        },
    ),
    Case(
        name="a level that hides the line says nothing, nor do rows that do not come",
        groups=KEEPING,
        series={
            of("committed_total"): "0+2x140",
            lines("agent_query_completed"): "0x140",
            lines("audit_checkpoint"): "0x140",
        },
        expected={("50m", "CheckpointMissing"): ()},
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
