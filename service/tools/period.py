"""A span of time in plain words, as models are asked for it: `yesterday`, `last 7 days`.

Refuses to guess: words it does not know are told, with those it does.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, cast

import msgspec
from msgspec import Struct

from service.errors import ToolFailed

Clock = Callable[[], datetime]
Span = tuple[datetime, datetime | None]
"""The first moment, and the first one after it; None: until now."""

LAST = re.compile(r"(?:the )?(?:last|past) (?:([1-9][0-9]{0,4}) )?(minute|hour|day|week)s?")
KNOWN = (
    "today, yesterday, this week, last week, this month, last month, this year, or last and a number of "
    "minutes, hours, days or weeks, such as last 7 days"
)
DAY, WEEK = timedelta(days=1), timedelta(weeks=1)


def read_clock() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


def span_of(words: str, now: datetime) -> Span:
    """The span that some words mean at a moment, in UTC; days begin at midnight, weeks on Monday.

    Raises:
        ToolFailed: naming the words there are.
    """
    said = " ".join(words.lower().split())
    if said in NAMED:
        return NAMED[said](now.replace(hour=0, minute=0, second=0, microsecond=0))
    if found := LAST.fullmatch(said):
        back = timedelta(**{f"{found[2]}s": int(found[1] or 1)})
        return now.replace(second=0, microsecond=0) - back, None
    raise ToolFailed(f"There is no such span of time; say {KNOWN}, or give from and to.")


def bounds(when: str | None, since: str | None, until: str | None, now: datetime) -> dict[str, str]:
    """The parameters `from` and `to` of a route, where they are meant.

    Raises:
        ToolFailed: both words and times are given, or words nobody knows.
    """
    if when is None:
        return {name: text for name, text in (("from", since), ("to", until)) if text is not None}
    if since is not None or until is not None:
        raise ToolFailed("Give either when, or from and to.")
    first, after = span_of(when, now)
    given = {"from": first, "to": after}
    return {name: _written(moment) for name, moment in given.items() if moment is not None}


def parameters(arguments: Struct, clock: Clock) -> dict[str, str]:
    """A tool's arguments as the parameters of a route, its `when`, `from` and `to` as times.

    Raises:
        ToolFailed: the times are none.
    """
    given = cast("dict[str, Any]", msgspec.to_builtins(arguments))
    times = bounds(given.pop("when", None), given.pop("from", None), given.pop("to", None), clock())
    return {**times, **{name: str(value) for name, value in given.items()}}


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _this_month(today: datetime) -> Span:
    first = today.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


def _last_month(today: datetime) -> Span:
    first = today.replace(day=1)
    return (first - DAY).replace(day=1), first


def _this_week(today: datetime) -> Span:
    monday = today - timedelta(days=today.weekday())
    return monday, monday + WEEK


def _last_week(today: datetime) -> Span:
    monday, _ = _this_week(today)
    return monday - WEEK, monday


NAMED: Mapping[str, Callable[[datetime], Span]] = MappingProxyType(
    {
        "today": lambda today: (today, today + DAY),
        "yesterday": lambda today: (today - DAY, today),
        "this week": _this_week,
        "last week": _last_week,
        "this month": _this_month,
        "last month": _last_month,
        "this year": lambda today: (today.replace(month=1, day=1), None),
    }
)
