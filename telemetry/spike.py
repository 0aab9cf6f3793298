"""What a spike of errors is: the numbers that Prometheus's rules and our own alarm go by alike.

Refuses to page for what callers do wrong: their faults are a ticket where somebody guesses, else shown.
"""

from enum import StrEnum

from msgspec import Struct

from telemetry.failure import Category, Fault

RUNBOOK = "telemetry/alerts/RUNBOOK.md"
"""Where the advice stands, relative to the root; each alert has a section of its name."""

FACTOR = 3
"""So many times as many as in the hour before."""
WINDOW = "5m"
"""Here and below as PromQL has durations. Over which errors are counted."""
BEFORE = "1h"
"""Over which what is usual is counted."""
LAG = "10m"
"""How long ago that ended: a spike is no part of what it is measured by."""
WAIT = "1m"
"""How long it must hold before anybody is told."""
KEEP = "5m"
"""How long it must be over before anybody is told that."""
REPEAT = "4h"
"""After which one that goes on is told again."""


class Severity(StrEnum):
    """Who hears of it: `page` wakes somebody, `ticket` waits for the day, `info` is only shown."""

    PAGE = "page"
    TICKET = "ticket"
    INFO = "info"


class Spike(Struct, frozen=True, kw_only=True):
    """One alert on a category. `floor` is errors in five minutes; `share` of the turns that were served."""

    name: str
    category: Category
    faults: tuple[Fault, ...]
    severity: Severity
    floor: int
    share: float = 0

    def summary(self, number: str) -> str:
        """One sentence with the number, which Prometheus writes as a template."""
        said = self.category.value.replace("_", " ")
        return f"{number} {said} errors in {WINDOW}, over three times the hour before."


OURS = (Fault.PROVIDER, Fault.SERVICE)
"""What the caller did not do."""


def seconds(duration: str) -> int:
    """What a duration such as `5m` comes to."""
    return int(duration[:-1]) * {"s": 1, "m": 60, "h": 3_600}[duration[-1]]


def _caller(name: str, category: Category, severity: Severity, floor: int) -> Spike:
    return Spike(name=name, category=category, faults=(Fault.CALLER,), severity=severity, floor=floor)


def _ours(name: str, category: Category, floor: int) -> Spike:
    return Spike(name=name, category=category, faults=OURS, severity=Severity.PAGE, floor=floor, share=0.01)


SPIKES = (
    _caller("CredentialGuessing", Category.AUTHENTICATION, Severity.TICKET, 20),
    _caller("AuthorizationSpike", Category.AUTHORIZATION, Severity.INFO, 50),
    _caller("ValidationSpike", Category.VALIDATION, Severity.INFO, 50),
    Spike(
        name="RateLimitSpike",
        category=Category.RATE_LIMIT,
        faults=(Fault.POLICY,),
        severity=Severity.TICKET,
        floor=50,
    ),
    _ours("UpstreamRateLimitSpike", Category.RATE_LIMIT, 10),
    _ours("DatabaseSpike", Category.DATABASE, 5),
    _ours("AgentServiceSpike", Category.AGENT_SERVICE, 10),
    _ours("NetworkSpike", Category.NETWORK, 10),
    _ours("UnknownSpike", Category.UNKNOWN, 5),
)
