"""/console/runbook: what to do about each alert, from the same advice that RUNBOOK.md is printed from.

Refuses to need the repository or a network: an installation has the rules it was made with.
"""

from collections.abc import Mapping, Sequence
from functools import cache

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from service.auth.permissions import Action
from service.web.console.pages import Pages
from service.web.desk import Asking, Desk
from service.web.parameters import Nothing, read
from telemetry.alerts.rule import Advice

PATH = "/console/runbook"


class Section(Struct, frozen=True, kw_only=True):
    """One alert's: `rules` are its severities with what each fires on; words in backticks are code."""

    name: str
    advice: Advice
    look: str
    rules: Sequence[tuple[str, str]]
    means: Sequence[str]
    do: Sequence[str]


def route(pages: Pages, desk: Desk) -> HTTPRouteHandler:
    """The route of the page: it names no caller and no number of theirs, so all who sign in may read it."""

    @get(PATH, include_in_schema=False)
    async def shown(request: Asking) -> Response[str]:
        caller = await desk.admit(request, Action.OWN)
        read(Nothing, request.scope["query_string"])
        return pages.show("runbook", caller, PATH, sections=sections())

    return shown


@cache
def sections() -> Sequence[Section]:
    """All sections, in the order of RUNBOOK.md."""
    # the rules cost a start some milliseconds, and few starts are ever asked for them
    from telemetry.alerts.groups import GROUPS  # noqa: PLC0415 - as above
    from telemetry.alerts.scale import scaled  # noqa: PLC0415 - as above

    rules: dict[str, list[tuple[str, str]]] = {}
    advice: dict[str, Advice] = {}
    for alert in (each for group in GROUPS for each in group.alerts):
        since = f", for {alert.wait}" if alert.wait else ""
        rules.setdefault(alert.name, []).append((f"{alert.severity}{since}", scaled(alert.expr, 1)))
        advice.setdefault(alert.name, alert.advice)
    looks = {name: scaled(each.look, 1) for name, each in advice.items()}
    return [_section(name, advice[name], looks, rules[name]) for name in rules]


def _section(
    name: str, advice: Advice, looks: Mapping[str, str], rules: Sequence[tuple[str, str]]
) -> Section:
    """`means` and `do` cut at their backticks: every second part is code."""
    return Section(
        name=name,
        advice=advice,
        look=looks[name],
        rules=rules,
        means=advice.means.split("`"),
        do=advice.do.split("`"),
    )
