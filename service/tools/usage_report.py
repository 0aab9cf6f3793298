"""What turns came to, asked in plain words: one's own, or for who may see them everybody's in the tenant.

Refuses to add up anything itself: what answers it knows whose numbers a caller may have.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal, Protocol

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from config.settings import Settings
from service.errors import ToolFailed
from service.tools.period import KNOWN, Clock, parameters, read_clock
from service.tools.tool import Errand, Tool

NAME = "usage_report"
ROLES = frozenset({"AUDIT_HEAD", "CFO", "CXO_TEAM"})
"""Who may see everybody's numbers, as service/auth/permissions.py has it; others would pay for its
description in every prompt."""
MOST = 40
"""Rows of one answer."""
LONGEST_KEY = 100
TIME = "ISO 8601, such as 2026-01-31 or 2026-01-31T12:00:00Z; UTC"


class Arguments(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which turns, and by what they are added up."""

    group_by: Annotated[
        Literal["user", "role", "model", "tool", "day"], Meta(description="What the rows are added up by")
    ] = "user"
    when: Annotated[str | UnsetType, Meta(description=f"Span of time in words (UTC): {KNOWN}")] = UNSET
    since: Annotated[str | UnsetType, Meta(description=f"First moment; {TIME}")] = field(
        default=UNSET, name="from"
    )
    until: Annotated[str | UnsetType, Meta(description=f"First moment after the span; {TIME}")] = field(
        default=UNSET, name="to"
    )


class Reported(Struct, frozen=True):
    """A report as its route has it: rows, their total, and whether they are everybody's in the tenant."""

    rows: Sequence[Mapping[str, Any]]
    total: Mapping[str, Any]
    everybody: bool


class Report(Protocol):
    """Answers for a caller."""

    async def __call__(self, asked: Mapping[str, str], errand: Errand) -> Reported:
        """The sums for the route's parameters; raises ToolFailed where they, or the caller, are refused."""
        ...


def build(report: Report, clock: Clock = read_clock) -> Tool:
    """Give the tool."""
    return Tool(
        name=NAME,
        description=(
            "Tells what questions to this assistant came to: turns, tokens and cost (US dollars) in a span "
            "of time, by user, role, model, tool or day. Gives the caller's own numbers, or those of all "
            "where the caller may see them."
        ),
        arguments=Arguments,
        run=partial(_run, report, clock),
        roles=ROLES,
    )


def plug(settings: Settings) -> Tool:
    """Give the tool as it is installed; the service hands it what answers."""
    del settings
    return build(_unanswered)


async def _unanswered(asked: Mapping[str, str], errand: Errand) -> Reported:
    del asked, errand
    raise ToolFailed("There are no records here that could be asked.")


async def _run(report: Report, clock: Clock, arguments: Arguments, errand: Errand) -> str:
    asked = parameters(arguments, clock)
    return tell(await report(asked, errand), asked)


def tell(reported: Reported, asked: Mapping[str, str]) -> str:
    """The answer as compact JSON: the first rows, and how many were left off."""
    rows = [{**row, "key": _cut(row["key"])} for row in reported.rows[:MOST]]
    shown = {
        "asked": asked,
        "whose": "everybody's" if reported.everybody else "the caller's own",
        "total": reported.total,
        "rows": rows,
        "leftOff": len(reported.rows) - len(rows),
    }
    return msgspec.json.encode(shown).decode()


def _cut(key: str | None) -> str | None:
    if key is None:
        return None
    return "".join(letter if letter.isprintable() else " " for letter in key[:LONGEST_KEY])
