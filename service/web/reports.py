"""Sums of turns as they are told, to the route and the command alike.

Refuses to add up anything: the database did, this only names it.
"""

from typing import Any

from msgspec import Struct

from service.store.questions import Sums, Usage

MILLION = 1_000_000


class UsageTotal(Struct, frozen=True, kw_only=True, rename="camel"):
    """What turns came to; `cost` is US dollars out of integer micro-dollars."""

    turns: int
    input_tokens: int
    output_tokens: int
    cost: float


class UsageRow(Struct, frozen=True, kw_only=True, rename="camel"):
    """The same of one key; null is the turns that have none: nobody known, no model asked, no tool called."""

    key: str | None
    turns: int
    input_tokens: int
    output_tokens: int
    cost: float


class UsageReport(Struct, frozen=True):
    """The answer. By tool, a turn with two tools is in both their rows and once in the total."""

    rows: tuple[UsageRow, ...]
    total: UsageTotal


def report(usage: Usage) -> UsageReport:
    """Sums as they are told."""
    rows = tuple(UsageRow(key=key, **_told(sums)) for key, sums in usage.rows)
    return UsageReport(rows, UsageTotal(**_told(usage.total)))


def _told(sums: Sums) -> dict[str, Any]:
    return {
        "turns": sums.turns,
        "input_tokens": sums.input_tokens,
        "output_tokens": sums.output_tokens,
        "cost": sums.cost_micros / MILLION,
    }
