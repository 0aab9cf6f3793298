"""How Prometheus spells our metrics, as the collector's exporter and OpenTelemetry's rules have it.

Refuses a name that is not in telemetry/names. Units stand where instruments are made; a test compares.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from telemetry import names

COUNTER, HISTOGRAM = "_total", ("_bucket", "_sum", "_count")

ENDINGS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        names.MODEL_DURATION: tuple(f"_seconds{part}" for part in HISTOGRAM),
        names.MODEL_TOKENS: HISTOGRAM,
        names.MODEL_FIRST_CHUNK: tuple(f"_seconds{part}" for part in HISTOGRAM),
        names.TURN_DURATION: tuple(f"_seconds{part}" for part in HISTOGRAM),
        names.TOOL_DURATION: tuple(f"_seconds{part}" for part in HISTOGRAM),
        names.TURNS: (COUNTER,),
        names.TURNS_ACTIVE: ("",),
        names.ERRORS: (COUNTER,),
        names.RATE_LIMIT_DECISIONS: (COUNTER,),
        names.RATE_LIMIT_DEGRADED: ("",),
        names.RATE_LIMIT_SWITCHES: (COUNTER,),
        names.TOKENS: (COUNTER,),
        names.COST_TOTAL: (COUNTER,),
        names.COST_UNCACHED: (COUNTER,),
        names.AUDIT_BEGUN: (COUNTER,),
        names.AUDIT_COMMITTED: (COUNTER,),
        names.AUDIT_JOURNALED: ("",),
        names.AUDIT_QUARANTINED: (COUNTER,),
        names.AUDIT_BALANCE: ("",),
        names.AUDIT_OLDEST_AGE: ("_seconds",),
        names.AUDIT_CHECKPOINT_AGE: ("_seconds",),
        names.AUDIT_VERIFICATIONS: (COUNTER,),
        names.AUDIT_ROWS: ("",),
        names.AUDIT_BYTES: ("",),  # it says bytes already
        names.DISK_FREE: ("_bytes",),
        names.TOOL_CALLS: (COUNTER,),
        names.MODEL_RETRIES: (COUNTER,),
        names.MODEL_SHUT: ("",),
        names.MCP_UP: ("",),
        names.BUDGET_USED: ("_ratio",),
        names.BUDGET_REFUSALS: (COUNTER,),
        names.BUDGET_DRIFT: ("",),
        names.WORKERS_ENDED: (COUNTER,),
        names.APPROVALS: (COUNTER,),
        names.FEEDBACK: (COUNTER,),
        names.LOG_LINES: (COUNTER,),
        names.SINK_FAILURES: (COUNTER,),
    }
)
"""What follows each metric's name; several for a histogram."""


def spelled(name: str) -> Iterator[str]:
    """Every series name that a metric has in Prometheus."""
    return (name.replace(".", "_") + ending for ending in ENDINGS[name])


def every_series() -> frozenset[str]:
    """All of them."""
    return frozenset(series for name in ENDINGS for series in spelled(name))
