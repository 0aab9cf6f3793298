"""/console/audit: the audit's events a page at a time, by filters that are in the address.

Refuses to ask otherwise than the API does: the same search, the same masking, the same row of a look.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlencode

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from msgspec import structs

from service.auth.permissions import Action, may
from service.errors import InvalidRequest
from service.web.console import kinds
from service.web.console.halls import PATH, rooms_of
from service.web.console.pages import Pages
from service.web.desk import Asking, Desk, glance_of
from service.web.parameters import PageQuery, Period, pairs_of, take
from service.web.search import Search
from telemetry.failure import RULES, Category, FieldError
from telemetry.record import Caller, Outcome
from telemetry.timestamp import timestamp

ID = "id"
TRACE_DIGITS = 32
PAGING, BETWEEN = frozenset({"cursor", "limit"}), ("from", "to")
HOUR = 3_600_000_000
SPANS: Mapping[str, int] = MappingProxyType(
    {"Last hour": HOUR, "Last 24 hours": 24 * HOUR, "Last 7 days": 168 * HOUR}
)
"""Microseconds of the spans that are one click away."""
MINUTE = len("2025-01-31T12:00")
SECOND = len("2025-01-31T12:00:00")
FIELDS = tuple(each.encode_name for each in structs.fields(PageQuery))

Pairs = Sequence[tuple[str, str]]


def route(pages: Pages, search: Search, desk: Desk) -> HTTPRouteHandler:
    """The route of the page."""

    @get(PATH, include_in_schema=False)
    async def listed(request: Asking) -> Response[str]:
        caller = await desk.admit(request, Action.AUDIT)
        given = pairs_of(request.scope["query_string"])
        kept = [(name, value) for name, value in given if value]
        if sought := dict(kept).get(ID):
            return pages.lead(found_at(sought.strip()))
        if len(kept) < len(given):  # a form sends what was left empty too: the address is to be told on
            return pages.lead(address(kept))
        facts = _facts(pages, caller, kept, desk.clock())
        try:
            page = await search.page(glance_of(request, caller, f"GET {PATH}"), take(PageQuery, kept))
        except InvalidRequest as error:
            return pages.show("events", caller, PATH, status=400, **facts, page=None, **_wrong(error.fields))
        return pages.show("events", caller, PATH, **facts, page=page, older=_older(kept, page), **_wrong())

    return listed


def found_at(sought: str) -> str:
    """Where something is that somebody has the id of: 32 hex digits are a trace, anything else an event."""
    if len(sought) == TRACE_DIGITS and not set(sought.lower()) - set("0123456789abcdef"):
        return address([("traceId", sought.lower()), ("entityType", "all")])
    return f"{PATH}/{quote(sought, safe='')}"


def address(given: Pairs) -> str:
    """The page by these parameters."""
    return f"{PATH}?{urlencode(given)}" if given else PATH


def _older(kept: Pairs, page: Any) -> str | None:
    rest = [(name, value) for name, value in kept if name != "cursor"]
    return address([*rest, ("cursor", page.next_cursor)]) if page.next_cursor else None


def _facts(pages: Pages, caller: Caller, kept: Pairs, now: int) -> dict[str, Any]:
    """What the form shows; `filters` are those that an export takes as well."""
    given = dict.fromkeys(FIELDS, "") | dict(kept)
    filters = [(name, value) for name, value in kept if name not in PAGING]
    first = address([pair for pair in kept if pair[0] != "cursor"])
    return {
        "given": given,
        "filters": filters,
        "first": first if given["cursor"] else None,
        "spans": _spans(filters, now),
        "between": {name: _field(name, given[name]) for name in BETWEEN},
        "outcomes": tuple(Outcome),
        "categories": _categories(),
        "kinds": kinds.KINDS,
        "models": tuple(pages.installation.models(caller.role)),
        "reads": may(caller, Action.AUDIT_CONTENT),
        "exports": may(caller, Action.EXPORT),
        "halls": rooms_of(caller),
    }


def _spans(filters: Pairs, now: int) -> Mapping[str, str]:
    """The same question of the last hour and so on; to the minute, so that the address is short."""
    rest = [(name, value) for name, value in filters if name not in BETWEEN]
    since = {name: f"{timestamp(now - span)[:MINUTE]}Z" for name, span in SPANS.items()}
    return {name: address([*rest, ("from", at)]) for name, at in since.items()}


def _categories() -> Mapping[str, Sequence[str]]:
    """Each category and its codes."""
    return {
        each.value: [code.value for code, rule in RULES.items() if rule.category is each] for each in Category
    }


def _field(name: str, said: str) -> str:
    """A moment as a field for one takes it (UTC); nothing where it is none."""
    try:
        read = take(Period, [(name, said)])
    except InvalidRequest:
        return ""
    at = read.since if read.until is None else read.until
    return "" if at is None else timestamp(at)[:SECOND]


def _wrong(faults: Sequence[FieldError] = ()) -> dict[str, Any]:
    """What is wrong, in all and field by field."""
    return {
        "wrong": faults,
        "faults": dict.fromkeys(FIELDS, "") | {each.field: each.message for each in faults},
    }
