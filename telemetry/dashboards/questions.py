"""Questions that panels ask again and again.

Refuses to know what is asked for: series and labels are told.
"""

from telemetry.dashboards.panel import Query

RATE = "$__rate_interval"


def rate(by: str, series: str) -> Query:
    """How many a second, by a label."""
    return Query(f"sum by ({by}) (rate({series}[{RATE}]))", f"{{{{{by}}}}}")


def hourly(by: str, series: str) -> Query:
    """How many in an hour, by a label."""
    return Query(f"sum by ({by}) (increase({series}[1h]))", f"{{{{{by}}}}}")


def quantile(part: float, histogram: str, by: str = "") -> Query:
    """A quantile of a histogram, with exemplars."""
    labels, legend = (f"le, {by}", f"p{part * 100:g} {{{{{by}}}}}") if by else ("le", f"p{part * 100:g}")
    expr = f"histogram_quantile({part}, sum by ({labels}) (rate({histogram}_bucket[{RATE}])))"
    return Query(expr, legend, exemplars=True)


def gauge(expr: str, legend: str = "{{instance}}") -> Query:
    """As it stands."""
    return Query(expr, legend)
