"""The date and time of a place, for a model that has no clock.

Refuses whatever the time zone database does not name.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from service.errors import ToolFailed
from service.tools.tool import Errand, Tool

Clock = Callable[[], datetime]

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
"""Named here, because strftime would follow the machine's locale."""


class Arguments(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where."""

    zone: Annotated[str, Meta(max_length=64, description="IANA time zone, for example Europe/Berlin")] = "UTC"


def read_clock() -> datetime:
    """Give the time now, in UTC."""
    return datetime.now(UTC)


def build(clock: Clock = read_clock) -> Tool:
    """Give the tool; `clock` gives a time that knows its zone."""
    return Tool(
        name="current_time",
        description=(
            "Tells the current date and time in a time zone: ISO 8601 with the UTC offset, weekday, zone."
        ),
        arguments=Arguments,
        run=partial(_run, clock),
    )


def tell_time(moment: datetime, zone: str) -> str:
    """Write a moment as a zone has it: `2026-11-23T18:04:05+01:00, Monday, Europe/Berlin (CET)`.

    Raises:
        ToolFailed: There is no such zone.
    """
    there = moment.astimezone(_find(zone))
    return f"{there.isoformat(timespec='seconds')}, {WEEKDAYS[there.weekday()]}, {zone} ({there.tzname()})"


async def _run(clock: Clock, arguments: Arguments, errand: Errand) -> str:
    del errand
    return tell_time(clock(), arguments.zone)


def _find(zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        # OSError: names of folders (America) and names longer than the file system takes.
        raise ToolFailed(
            "There is no such time zone; use an IANA name such as Europe/Berlin or UTC."
        ) from error


TOOL = build()
