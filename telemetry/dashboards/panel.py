"""What a panel is: a question to Prometheus, how its answer is drawn, and in which unit.

Refuses Grafana's hundred other switches. Queries may say `$__rate_interval`, Grafana's own step.
"""

from enum import StrEnum

from msgspec import Struct


class Kind(StrEnum):
    """How an answer is drawn."""

    LINES = "timeseries"
    NUMBER = "stat"
    BARS = "bargauge"


class Query(Struct, frozen=True):
    """PromQL and the legend of its series. `exemplars` are dots that lead to traces."""

    expr: str
    legend: str = ""
    exemplars: bool = False


class Panel(Struct, frozen=True, kw_only=True):
    """One drawing. `unit` is Grafana's word for it; `alarm` colours values from there on."""

    title: str
    queries: tuple[Query, ...]
    said: str
    unit: str = "short"
    kind: Kind = Kind.LINES
    stacked: bool = False
    alarm: float | None = None
    width: int = 8


class Traces(Struct, frozen=True, kw_only=True):
    """A table of traces from Jaeger, found by tags; each row leads to its trace."""

    title: str
    tags: str
    said: str
    width: int = 24


class Section(Struct, frozen=True):
    """Panels under one heading."""

    title: str
    panels: tuple[Panel | Traces, ...]
