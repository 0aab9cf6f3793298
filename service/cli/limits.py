"""parley limits: which limits hold, by role or for one user.

Refuses to guess what remains: the counts are in the running service (GET /api/v1/limits says them).
"""

import sys
from typing import Any

from config.settings import Limits
from service.cli import asking, rebuild
from service.cli.asking import Desk, plain
from service.web.parameters import Nothing


def add(commands: Any) -> None:
    """Add the command's parser."""
    said = "say which limits hold"
    verbs = commands.add_parser("limits", help=said, description=said).add_subparsers(
        required=True, metavar="VERB"
    )
    parser = asking.verb(verbs, "show", "show the limits of every role, or of one user", _show, Nothing)
    parser.add_argument("user", nargs="?", type=asking.text, help="whose; in the role that user had last")
    rebuild.add(verbs)


async def _show(desk: Desk) -> int:
    return await _of_user(desk) if desk.given.user is not None else _of_roles(desk)


async def _of_user(desk: Desk) -> int:
    role = await desk.database.questions.role_of(desk.given.user)
    if role is None:
        sys.stderr.write("parley: there is no user of that name\n")
        return 1
    told = {"subject": desk.given.user, "role": role, **_policies(desk.settings.limits, role)}
    asking.show(desk, told, lambda: f"{plain(desk.given.user)}  {_words(desk.settings.limits, role)}")
    return 0


def _of_roles(desk: Desk) -> int:
    limits = desk.settings.limits
    told = {
        "mode": limits.mode,
        "roles": {role: _policies(limits, role) for role in (*limits.roles, "other")},
    }
    asking.show(desk, told, lambda: "\n".join(_words(limits, role) for role in told["roles"]))
    return 0


def _policies(limits: Limits, role: str) -> dict[str, Any]:
    """As the route says them; what only the running service knows is null."""
    policy = {
        "name": "role",
        "limit": _limit(limits, role),
        "window": limits.window_ms / 1000,
        "remaining": None,
        "reset": None,
    }
    return {"policies": [policy] if limits.mode != "off" else [], "budgets": [], "degraded": False}


def _words(limits: Limits, role: str) -> str:
    return (
        f"{role:16} {_limit(limits, role):>5} requests in {limits.window_ms / 1000:g} s, mode {limits.mode}"
    )


def _limit(limits: Limits, role: str) -> int:
    return limits.roles.get(role, limits.requests)
