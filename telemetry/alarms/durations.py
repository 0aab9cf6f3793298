"""How long everything of an alarm takes.

Refuses numbers of its own where Prometheus's rules have one.
"""

from typing import Self

from msgspec import Struct
from msgspec.structs import asdict

from telemetry import spike
from telemetry.spike import seconds


class Durations(Struct, frozen=True, kw_only=True):
    """Seconds. Errors are counted by the `slice`, a `tick` is between two looks; others are the rules'."""

    window: float = seconds(spike.WINDOW)
    before: float = seconds(spike.BEFORE)
    lag: float = seconds(spike.LAG)
    wait: float = seconds(spike.WAIT)
    keep: float = seconds(spike.KEEP)
    repeat: float = seconds(spike.REPEAT)
    slice: float = 10
    tick: float = 5

    @property
    def horizon(self) -> float:
        """After which nothing counts any more."""
        return self.before + self.lag

    def scaled(self, scale: float) -> Self:
        """The same, so many times shorter: what is tried in a minute is what is shipped."""
        return type(self)(**{name: value / scale for name, value in asdict(self).items()})
