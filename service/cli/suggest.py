"""parley limits suggest: limits that what was asked lately would have kept, and whom they would have refused.

Refuses to change anything: it prints settings to paste.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct, structs

from config.settings import Limits
from service.cli import asking, weighing
from service.cli.asking import Desk, asked
from service.cli.options import text
from service.cli.terminal import plain
from service.limits.rules import ROLE, TOKENS
from service.limits.sizes import Spread, step
from service.limits.suggest import Baseline, Survey, Weigh, propose
from service.limits.trial import BUDGET, Trial
from service.web.parameters import Period
from telemetry.recorder import microseconds
from telemetry.timestamp import timestamp

FORTNIGHT = 14 * 86_400_000_000
"""Microseconds."""
MICROS, MILLISECONDS = 1_000_000, 1_000
FEW = 100
"""Of so many turns one may be refused for its tokens; else the number is a step higher."""
TRIES = 4
NOTHING = "nobody asked anything in that time"


class Found(Struct, frozen=True, kw_only=True):
    """What was found: the baseline, the limits proposed, and trials of those set and those proposed."""

    baseline: Baseline
    proposed: Limits
    before: Trial
    after: Trial


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _suggest, Period)
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        type=text,
        metavar="USER",
        help="leave somebody out, such as one who floods; may be repeated",
    )


async def _suggest(desk: Desk) -> int:
    span = asked(Period, desk.given).span()
    until = span["until"] or microseconds()
    since = until - FORTNIGHT if span["since"] is None else span["since"]
    found = await _find(desk, since, until)
    if not found.baseline.roles:
        sys.stderr.write(f"parley: {NOTHING}\n")
        return 2
    told = {"from": timestamp(since), "to": timestamp(until), **_told(desk.settings.limits, found)}
    asking.show(desk, told, lambda: "\n".join(_words(told)))
    return 0


async def _find(desk: Desk, since: int, until: int) -> Found:
    limits, weigh = desk.settings.limits, weighing.scales(desk.settings)
    survey = Survey(limits.window_ms, weigh, frozenset(desk.given.without))
    async for page in desk.database.admissions.pages(since, until):
        survey.take(page)
    baseline = survey.end()
    proposed = propose(baseline, limits)
    before = await _trial(desk, (since, until), limits, weigh)
    after = await _trial(desk, (since, until), proposed, weigh)
    for _ in range(TRIES):
        if not _refuses_many(after):
            break
        tokens = step((proposed.tokens_per_minute or 0) + 1)
        proposed = structs.replace(proposed, tokens_per_minute=tokens)
        after = await _trial(desk, (since, until), proposed, weigh)
    return Found(baseline=baseline, proposed=proposed, before=before, after=after)


async def _trial(desk: Desk, span: tuple[int, int], limits: Limits, weigh: Weigh) -> Trial:
    trial = Trial(limits, weigh, frozenset(desk.given.without))
    async for page in desk.database.admissions.pages(*span):
        await trial.take(page)
    return trial


def _refuses_many(trial: Trial) -> bool:
    """Whether bursts of tokens, which a minute's sum does not show, are too large for what is proposed."""
    return _refused(trial, TOKENS) * FEW > trial.turns


def _refused(trial: Trial, policy: str, role: str | None = None) -> int:
    return sum(
        count for (whose, by), count in trial.refused.items() if by == policy and role in {None, whose}
    )


def _told(limits: Limits, found: Found) -> dict[str, Any]:
    base, proposed = found.baseline, found.proposed
    day = limits.budgets.user_day, proposed.budgets.user_day
    return {
        "window": limits.window_ms / MILLISECONDS,
        "turns": sum(base.requests.values()),
        "roles": [_role(limits, found, role) for role in sorted(base.roles)],
        "tokensPerMinute": _measure(
            found, base.tokens, TOKENS, (limits.tokens_per_minute, proposed.tokens_per_minute), 1
        ),
        "dollarsPerDay": _measure(found, base.micros, BUDGET, day, MICROS),
        "settings": dict(_settings(found)),
    }


def _role(limits: Limits, found: Found, role: str) -> dict[str, Any]:
    spread = found.baseline.roles[role]
    return {
        "role": role,
        "requests": found.baseline.requests[role],
        **_spread(spread, 1),
        "present": limits.roles.get(role, limits.requests),
        "proposed": found.proposed.roles[role],
        "refusedByPresent": _refused(found.before, ROLE, role),
        "refusedByProposed": _refused(found.after, ROLE, role),
    }


def _measure(
    found: Found, spread: Spread | None, policy: str, numbers: tuple[int | None, int | None], unit: int
) -> dict[str, Any] | None:
    if spread is None:
        return None
    present, proposed = (None if each is None else _in(each, unit) for each in numbers)
    return {
        **_spread(spread, unit),
        "present": present,
        "proposed": proposed,
        "refusedByPresent": _refused(found.before, policy),
        "refusedByProposed": _refused(found.after, policy),
    }


def _spread(spread: Spread, unit: int) -> dict[str, Any]:
    sizes = {name: _in(getattr(spread, name), unit) for name in ("p50", "p95", "p99", "max")}
    busiest = {"user": spread.whose, "p99": _in(spread.busiest, unit)}
    return {"users": spread.users, **sizes, "busiest": busiest}


def _in(size: int, unit: int) -> float:
    return size if unit == 1 else size / unit


def _settings(found: Found) -> Iterator[tuple[str, str]]:
    """What is proposed, as it is set. Roles that asked nothing keep their numbers."""
    base, proposed = found.baseline, found.proposed
    yield "AGENT_RATE_LIMIT_ROLES", ",".join(f"{role}={proposed.roles[role]}" for role in sorted(base.roles))
    if base.tokens:
        yield "AGENT_TOKENS_PER_MINUTE", str(proposed.tokens_per_minute)
    if base.micros and proposed.budgets.user_day:
        yield "AGENT_BUDGET_USER_DAY_USD", f"{Decimal(proposed.budgets.user_day) / MICROS:f}"


def _words(told: Mapping[str, Any]) -> Iterator[str]:
    yield f"{told['turns']} requests from {told['from']} to {told['to']}"
    for each in told["roles"]:
        yield _line(f"{each['role']}, requests in {told['window']:g} s", each)
    for name, words in (("tokensPerMinute", "tokens in a minute"), ("dollarsPerDay", "dollars in a day")):
        if told[name]:
            yield _line(words, told[name])
    yield from (f"{name}={value}" for name, value in told["settings"].items())


def _line(name: str, each: Mapping[str, Any]) -> str:
    sizes = ", ".join(f"{size} {each[size]}" for size in ("p50", "p95", "p99", "max"))
    busiest = f"{plain(each['busiest']['user'])} {each['busiest']['p99']}"
    present = "none" if each["present"] is None else each["present"]
    return (
        f"{name}, {each['users']} users: {sizes}, busiest {busiest}; set: {present}, would have refused "
        f"{each['refusedByPresent']}; proposed: {each['proposed']}, {each['refusedByProposed']}"
    )
