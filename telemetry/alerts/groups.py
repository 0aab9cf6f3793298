"""All groups of rules, in the order of the file; recordings stand before what reads them.

Refuses nothing: tests hold that names, runbook and metrics fit.
"""

from telemetry.alerts import access, answered, audit, collector, growth, keeping, limits, spikes, traffic
from telemetry.alerts.rule import Group

GROUPS: tuple[Group, ...] = (
    answered.GROUP,
    spikes.GROUP,
    access.ACCESS,
    traffic.STREAMS,
    traffic.MODELS,
    traffic.COST,
    limits.LIMITS,
    limits.BUDGETS,
    audit.ROWS,
    keeping.KEEPING,
    growth.DISK,
    growth.AUDIT,
    growth.LOGS,
    collector.GROUP,
)
