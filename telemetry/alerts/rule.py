"""What a rule is: PromQL with a severity, one sentence with a number, and advice.

Refuses nothing by itself; promtool and the tests read what is made of it. Durations are as shipped (`[5m]`,
`offset 1h`, `seconds(1d)`): scale.py shortens them.
"""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from telemetry.spike import RUNBOOK, Severity

__all__ = ("Advice", "Alert", "Group", "Recording", "Severity")


class Advice(Struct, frozen=True, kw_only=True):
    """A section of the runbook. `look` is PromQL, `trace` tags of Jaeger's search, `run` commands or SQL."""

    means: str
    look: str
    do: str
    trace: str = ""
    run: str = ""


class Recording(Struct, frozen=True):
    """A series that rules and panels read; its name says by which labels, of what, over which window."""

    name: str
    expr: str


class Alert(Struct, frozen=True, kw_only=True):
    """One alerting rule; several may share a name and its advice where their labels differ."""

    name: str
    severity: Severity
    expr: str
    summary: str
    advice: Advice
    wait: str = ""
    keep: str = ""
    labels: Mapping[str, str] = MappingProxyType({})

    @property
    def runbook(self) -> str:
        """Where the advice stands, relative to the root."""
        return f"{RUNBOOK}#{self.name.lower()}"


class Group(Struct, frozen=True):
    """Rules that are evaluated together, in order."""

    name: str
    rules: tuple[Recording | Alert, ...]
    interval: str = "30s"

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The alerting ones."""
        return tuple(rule for rule in self.rules if isinstance(rule, Alert))
