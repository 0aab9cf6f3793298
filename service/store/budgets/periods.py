"""Days and months in UTC: what a period is called, and from when to when it lasts.

Refuses local time: a budget's day begins for everybody at the same moment.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

DAY = 86_400_000_000
"""Microseconds."""
EPOCH = date(1970, 1, 1)
MONTH_LETTERS = len("2026-11")

Span = tuple[int, int]
"""From a time on, and before another; microseconds since 1970 (UTC)."""


def periods_of(at: int) -> tuple[str, str]:
    """The day and the month of a moment."""
    return _named(at // DAY)


def span_of(period: str) -> Span:
    """From when to when a day or a month lasts."""
    if len(period) > MONTH_LETTERS:
        first = _start(date.fromisoformat(period))
        return first, first + DAY
    begin = date.fromisoformat(f"{period}-01")
    return _start(begin), _start((begin + timedelta(days=31)).replace(day=1))


def days_of(span: Span) -> Iterator[Span]:
    """A span day by day."""
    first, end = span
    for start in range(first, end, DAY):
        yield start, min(start + DAY, end)


def before(period: str) -> str:
    """The period before one of the same length."""
    day, month = periods_of(span_of(period)[0] - 1)
    return day if len(period) > MONTH_LETTERS else month


@lru_cache(maxsize=64)
def _named(day: int) -> tuple[str, str]:
    name = (EPOCH + timedelta(days=day)).isoformat()
    return name, name[:MONTH_LETTERS]


def _start(day: date) -> int:
    return round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
