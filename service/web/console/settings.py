"""/console/settings: by what rules the service runs, and which role may do what.

Refuses to show a secret, as the command and the API do; nothing is changed here.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Annotated, Literal

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta, Struct

from config.table import Row
from service.auth.permissions import Action
from service.errors import window_in_words
from service.web.console.pages import Pages
from service.web.desk import Asking, Desk
from service.web.house_rules import HouseRules, role_table
from service.web.parameters import read

PATH = "/console/settings"

ABOUT: Mapping[str, str] = MappingProxyType(
    {
        Action.CHAT: "chat",
        Action.OWN: "own records",
        Action.USAGE_ALL: "usage of all",
        Action.OPERATIONS: "operations",
        Action.AUDIT: "audit",
        Action.AUDIT_CONTENT: "audit with content",
        Action.EXPORT: "export",
        Action.VERIFY: "verify",
        Action.ERASE: "erase",
        Action.KEYS: "keys and others' sessions",
        Action.SETTINGS: "settings",
        Action.LIMITS_ALL: "limits of others",
    }
)
"""What an action is called on a page."""


class SettingsQuery(Struct, frozen=True, kw_only=True):
    """Which settings are shown: with these words, from there; `set` is anywhere but the default."""

    q: Annotated[str, Meta(max_length=256)] = ""
    origin: Literal["", "set", "default", "env", ".env", "file"] = ""


class Group(Struct, frozen=True):
    """Settings that belong together."""

    title: str
    rows: tuple[Row, ...]


def route(pages: Pages, rules: HouseRules, desk: Desk) -> HTTPRouteHandler:
    """The route of the page."""

    @get(PATH, include_in_schema=False)
    async def settings(request: Asking) -> Response[str]:
        caller = await desk.admit(request, Action.SETTINGS)
        query = read(SettingsQuery, request.scope["query_string"])
        table, limits = rules.table(), rules.limits()
        found = [row for row in table if _meant(row, query)]
        return pages.show(
            *("settings", caller, PATH),
            query=query,
            groups=tuple(_groups(found)),
            found=len(found),
            total=len(table),
            live=rules.live,
            roles=role_table(limits).roles,
            window=window_in_words(limits.window_ms),
            about=ABOUT,
        )

    return settings


def _meant(row: Row, query: SettingsQuery) -> bool:
    """Whether every word is in what is shown of a setting."""
    shown = " ".join((row.name, row.title, row.value or "", row.default or "", row.description)).casefold()
    origins = {query.origin, ""} if query.origin != "set" else {"env", ".env", "file"}
    named = query.origin == "" or row.origin in origins
    return named and all(word in shown for word in query.q.casefold().split())


def _groups(rows: Sequence[Row]) -> Iterator[Group]:
    for title, group in groupby(rows, key=lambda row: row.title):
        yield Group(title, tuple(group))
