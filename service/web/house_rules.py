"""GET /api/v1/settings and /api/v1/roles: by what rules this service runs, and which role may do what.

Refuses whoever may not see settings; a secret is its mask.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from litestar import get
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from config.settings import Limits
from config.table import Row
from service.auth.permissions import EVERYBODY, GRANTS, SCOPES, Action
from service.web.desk import Asking, Desk
from service.web.parameters import Nothing, read

SETTINGS = "/api/v1/settings"
ROLES = "/api/v1/roles"


class Setting(Struct, frozen=True):
    """One setting as it holds now, as the environment would say it; null where it is unset."""

    name: str
    value: str | None
    origin: Literal["default", "env", ".env", "file"]


class SettingList(Struct, frozen=True):
    """All settings, in the order of their page."""

    settings: tuple[Setting, ...]


class Role(Struct, frozen=True, kw_only=True):
    """What a role may: how many requests in a window, which actions, and what a scope of a key adds."""

    name: str
    requests: int
    actions: tuple[str, ...]
    scopes: dict[str, str]


class RoleTable(Struct, frozen=True):
    """Every role that has a line of its own, and what any other may, under the name `*`."""

    roles: tuple[Role, ...]


class HouseRules(Struct, frozen=True):
    """The rules as they hold now; `live` are the names of the settings that may change while it runs."""

    table: Callable[[], Sequence[Row]]
    limits: Callable[[], Limits]
    live: frozenset[str] = frozenset()


def routes(rules: HouseRules, desk: Desk) -> list[HTTPRouteHandler]:
    """The two routes."""

    @get(SETTINGS)
    async def settings(request: Asking) -> SettingList:
        await desk.admit(request, Action.SETTINGS)
        read(Nothing, request.scope["query_string"])
        return SettingList(tuple(Setting(row.name, row.value, row.origin) for row in rules.table()))

    @get(ROLES)
    async def roles(request: Asking) -> RoleTable:
        await desk.admit(request, Action.SETTINGS)
        read(Nothing, request.scope["query_string"])
        return role_table(rules.limits())

    return [settings, roles]


def role_table(limits: Limits) -> RoleTable:
    """The roles by what they may and how often."""
    named = [*GRANTS, *(name for name in limits.roles if name not in GRANTS)]
    return RoleTable((*(_role(name, limits) for name in named), _role("*", limits)))


def _role(name: str, limits: Limits) -> Role:
    actions = GRANTS.get(name, EVERYBODY)
    added = {scope: action.value for (role, scope), action in SCOPES.items() if role == name}
    ordered = tuple(each.value for each in Action if each in actions)
    return Role(name=name, requests=limits.roles.get(name, limits.requests), actions=ordered, scopes=added)
