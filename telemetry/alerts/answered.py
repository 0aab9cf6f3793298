"""Burn rates: how fast the share of turns that may fail is used up, over a long and a short window.

Refuses to count what callers did wrong, limits that held, clients that left: none of them failed here.
"""

from collections.abc import Iterator

from msgspec import Struct

from telemetry.alerts.rule import Advice, Alert, Group, Recording, Severity

WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
FAILED = 'sum by (job) (increase(parley_errors_total{{fault=~"provider|service"}}[{window}]))'
ANSWERED = 'sum by (job) (increase(parley_turns_total{{outcome="answered"}}[{window}]))'


class Burn(Struct, frozen=True):
    """So many times too fast over both windows; at that speed a budget of 30 days is gone in 30 / factor."""

    factor: float
    long: str
    short: str
    severity: Severity


BURNS = (
    Burn(14.4, "1h", "5m", Severity.PAGE),
    Burn(6, "6h", "30m", Severity.PAGE),
    Burn(3, "1d", "2h", Severity.TICKET),
    Burn(1, "3d", "6h", Severity.TICKET),
)
"""The pairs of Google's SRE workbook, chapter 5."""

ADVICE = Advice(
    means="Of the turns that reached the model or should have, too many failed by the provider's fault or"
    " ours. The label `window` says since when: 1h and 6h are an outage, 1d and 3d something that gnaws. At"
    " 99 % the fast ones page; at 99.9 % all are tickets.",
    look="sum by (category, fault) (increase(parley_errors_total{fault=~'provider|service'}[1h]))",
    trace="parley.turn.outcome=failed",
    run="parley audit stats\nparley audit list --outcome failed --limit 20",
    do="Go to the section of the category that leads: DatabaseSpike, AgentServiceSpike, NetworkSpike,"
    " UnknownSpike, UpstreamRateLimitSpike. If it began with a rollout, roll back first.",
)


def recordings() -> Iterator[Recording]:
    """What failed and what was served, for each window."""
    for window in WINDOWS:
        yield Recording(f"job:parley_failed:increase{window}", FAILED.format(window=window))
        served = f"{ANSWERED.format(window=window)} + job:parley_failed:increase{window}"
        yield Recording(f"job:parley_served:increase{window}", served)


def alert(slo: str, share: float, burn: Burn) -> Alert:
    """One pair of windows; five failures at least, so that the first one of a quiet day is none."""
    too_fast = "\nand ".join(
        f"job:parley_failed:increase{window} / job:parley_served:increase{window} > {burn.factor} * {share}"
        for window in (burn.long, burn.short)
    )
    return Alert(
        name=f"AnsweredShare{slo.replace('.', '')}",
        severity=burn.severity if slo == "99" else Severity.TICKET,
        labels={"slo": slo, "window": burn.long},
        expr=f"{too_fast}\nand job:parley_failed:increase{burn.long} >= 5",
        summary=f"{{{{ $value | humanizePercentage }}}} of turns failed in {burn.long}; {slo} % are to be"
        f" answered.",
        advice=ADVICE,
        keep="5m",
    )


GROUP = Group(
    "parley-answered",
    (
        *recordings(),
        *(alert(slo, share, burn) for slo, share in (("99", 0.01), ("99.9", 0.001)) for burn in BURNS),
    ),
)
