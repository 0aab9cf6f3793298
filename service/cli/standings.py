"""parley limits show: which limits hold, by role or for one user, and how they stand.

Refuses to guess what a running service has in its own memory: GET /api/v1/limits says that.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import structs

from config.settings import Budgets, Limits
from service.cli import asking, counted
from service.cli.asking import Desk
from service.cli.options import add_tenant, text
from service.cli.terminal import plain
from service.limits.demand import Standing
from service.web.parameters import Nothing
from telemetry.recorder import microseconds

MILLISECONDS, MICROS = 1_000, 1_000_000
OTHER = "other"


def add(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    asking.ask(parser, _show, Nothing)
    parser.add_argument("user", nargs="?", type=text, help="whose; in the role that user had last")
    add_tenant(parser, "the tenant that the user belongs to")


async def _show(desk: Desk) -> int:
    return await _of_user(desk) if desk.given.user is not None else await _of_roles(desk)


async def _of_user(desk: Desk) -> int:
    user, limits = desk.given.user, desk.settings.limits
    caller = await counted.caller_of(desk, user)
    if caller is None:
        sys.stderr.write("parley: there is no user of that name\n")
        return 1
    off = limits.mode == "off"
    demand = counted.rules_of(desk.settings).of_turn(caller, "", None, 1)
    found = None if off else await counted.standings(desk.settings, demand)
    policies = [_policy(part.rule.name, part.rule.limit, part.rule.window_ms) for part in demand.parts]
    told = {
        "subject": user,
        "role": caller.role,
        "policies": [] if off else list(map(_standing, found)) if found else policies,
        "budgets": [] if off else await _budgets(desk, caller.person, caller.role, limits.budgets),
        "degraded": False,
    }
    asking.show(desk, told, lambda: "\n".join(_words(f"{plain(user)}  {caller.role}", told)))
    if not (off or found):
        sys.stderr.write(f"parley: {counted.why(desk.settings)}\n")
    return 0


async def _of_roles(desk: Desk) -> int:
    limits = desk.settings.limits
    on = limits.mode != "off"
    total, role = (_named(limits.budgets, scope) for scope in ("total_", "role_"))
    roles = {each: await _of_role(desk, each, role if on else Budgets()) for each in (*limits.roles, OTHER)}
    told = {
        "mode": limits.mode,
        "store": counted.kind_of(limits),
        "roles": roles,
        "settings": _settings(limits),
        "budgets": await _budgets(desk, "", "", total) if on else [],
    }
    asking.show(desk, told, lambda: "\n".join(_table(limits, told)))
    return 0


async def _of_role(desk: Desk, role: str, budgets: Budgets) -> dict[str, Any]:
    limits = desk.settings.limits
    policy = _policy("role", limits.roles.get(role, limits.requests), limits.window_ms)
    return {
        "policies": [policy] if limits.mode != "off" else [],
        "budgets": await _budgets(desk, "", role, budgets) if role != OTHER else [],
        "degraded": False,
    }


def _settings(limits: Limits) -> dict[str, Any]:
    """What is set, beside the numbers of the roles: null is no limit. Money is US dollars."""
    return {
        "window": limits.window_ms / MILLISECONDS,
        "address": limits.address,
        "tenant": limits.tenant,
        "models": dict(limits.models or {}),
        "tools": dict(limits.tools or {}),
        "concurrency": limits.concurrency,
        "tokensPerMinute": limits.tokens_per_minute,
        "budgets": {name: micros / MICROS for name, micros in _set(limits.budgets).items()},
    }


async def _budgets(desk: Desk, user: str, role: str, budgets: Budgets) -> list[dict[str, Any]]:
    """How budgets stand, as the route says it."""
    now = microseconds()
    set_ = _set(budgets)
    found = await desk.database.budgets.standings(user, role, now, set_) if set_ else ()
    return [
        {
            "name": each.name,
            "limit": each.limit / MICROS,
            "spent": each.spent / MICROS,
            "reserved": each.reserved / MICROS,
            "reset": -(-(each.ends_at - now) // MILLISECONDS) / MILLISECONDS,
        }
        for each in found
    ]


def _set(budgets: Budgets) -> Mapping[str, int]:
    return {name: micros for name, micros in structs.asdict(budgets).items() if micros is not None}


def _named(budgets: Budgets, beginning: str) -> Budgets:
    return Budgets(**{name: each for name, each in _set(budgets).items() if name.startswith(beginning)})


def _standing(standing: Standing) -> dict[str, Any]:
    rule = standing.rule
    known = {"remaining": standing.remaining, "reset": standing.reset_ms / MILLISECONDS}
    return _policy(rule.name, rule.limit, rule.window_ms) | known


def _policy(name: str, limit: int, window_ms: int) -> dict[str, Any]:
    """As the route says it; what only a running service knows is null."""
    window = window_ms / MILLISECONDS
    return {"name": name, "limit": limit, "window": window, "remaining": None, "reset": None}


def _table(limits: Limits, told: Mapping[str, Any]) -> Iterable[str]:
    yield f"mode {told['mode']}, store {told['store']}"
    for role in told["roles"]:
        number = limits.roles.get(role, limits.requests)
        yield f"{role:16} {number:>5} requests in {limits.window_ms / MILLISECONDS:g} s"
        yield from map(_money, told["roles"][role]["budgets"])
    for name, value in told["settings"].items():
        if value and name != "window":
            yield f"{name}: {_plainly(value)}"
    yield from map(_money, told["budgets"])


def _words(name: str, told: Mapping[str, Any]) -> Sequence[str]:
    return [name, *map(_count, told["policies"]), *map(_money, told["budgets"])]


def _count(policy: Mapping[str, Any]) -> str:
    left = "" if policy["remaining"] is None else f", {policy['remaining']} left"
    return f"  {policy['name']}: {policy['limit']} in {policy['window']:g} s{left}"


def _money(budget: Mapping[str, Any]) -> str:
    spent, reserved = f"${budget['spent']:.6f} spent", f"${budget['reserved']:.6f} put aside"
    return f"  {budget['name']}: {spent}, {reserved} of ${budget['limit']:.2f}"


def _plainly(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{plain(key)}={each}" for key, each in value.items())  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType] - of our own settings
    return str(value)
