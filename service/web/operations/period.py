"""How far back the board looks, in which steps, and how often it is worth while to look again.

Refuses any other period: each is read of the log by itself.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct

from telemetry.alarms.durations import Durations

SECOND = 1_000_000
"""Microseconds."""


class Period(StrEnum):
    """How far back."""

    QUARTER = "15m"
    HOUR = "1h"
    DAY = "24h"
    WEEK = "7d"


class Frame(Struct, frozen=True):
    """Slots of `step` seconds each, the last of which has not ended; made anew after `again` seconds."""

    step: int
    slots: int
    again: int

    @property
    def width(self) -> int:
        """A slot's microseconds."""
        return self.step * SECOND

    @property
    def span(self) -> int:
        """Microseconds from the first slot's begin to the last one's end."""
        return self.width * self.slots

    @property
    def reach(self) -> int:
        """Microseconds that have to be read: a spike is held against the hour before."""
        return self.span + round(Durations().horizon * SECOND)

    def first(self, now: int) -> int:
        """The number of the first slot at a moment, in microseconds since 1970 (UTC)."""
        return now // self.width - self.slots + 1


FRAMES: Mapping[Period, Frame] = MappingProxyType(
    {
        Period.QUARTER: Frame(15, 60, 2),
        Period.HOUR: Frame(60, 60, 10),
        Period.DAY: Frame(900, 96, 15),
        Period.WEEK: Frame(7_200, 84, 60),
    }
)
