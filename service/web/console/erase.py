"""/console/audit/erase: forget a person, by the name typed twice; what went, and what stays.

Refuses what the API refuses, in the same words: another name the second time, nobody, a legal hold.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta, Struct

from service.auth.permissions import Action
from service.errors import Conflict, InvalidRequest, NotFound, ServiceError, classify
from service.web.bodies import MAX_BODY
from service.web.console.forms import pairs_of
from service.web.console.halls import ERASE, PATH, rooms_of
from service.web.console.pages import Pages
from service.web.desk import Asking, Desk
from service.web.erasures import Erasing, Erasure
from service.web.parameters import Nothing, read, take
from service.web.problems import STATUS
from telemetry.record import Caller

FIELDS = Erasure.__struct_fields__

Pairs = Sequence[tuple[str, str]]


class Whom(Struct, frozen=True, kw_only=True):
    """Whom the form is filled in for already."""

    subject: Annotated[str, Meta(max_length=256)] = ""


def routes(pages: Pages, erasing: Erasing, desk: Desk) -> list[HTTPRouteHandler]:
    """The page, and what its form does."""

    @get(ERASE, include_in_schema=False)
    async def shown(request: Asking) -> Response[str]:
        caller = await desk.admit(request, Action.ERASE)
        whom = read(Whom, request.scope["query_string"])
        return _page(pages, caller, whom.subject)

    @post(ERASE, status_code=200, include_in_schema=False, request_max_body_size=MAX_BODY)
    async def erased(request: Asking) -> Response[str]:
        caller = await desk.admit(request, Action.ERASE)
        read(Nothing, request.scope["query_string"])
        given = await pairs_of(request)
        try:
            done = await erasing.erase(take(Erasure, [*given, *_left_out(given)]), desk.doer(request, caller))
        except (InvalidRequest, NotFound, Conflict) as error:
            return _page(pages, caller, dict(given).get("subject", ""), error)
        return pages.show("erased", caller, PATH, done=done, halls=rooms_of(caller))

    return [shown, erased]


def _left_out(given: Pairs) -> Pairs:
    """Fields that a form has and this one did not send; as empty ones they are refused by their names."""
    return [(name, "") for name in FIELDS if name not in dict(given)]


def _page(pages: Pages, caller: Caller, subject: str, error: ServiceError | None = None) -> Response[str]:
    failure = classify(error) if error else None
    faults = failure.fields if failure else ()
    known = {each.field: each.message for each in faults if each.field in FIELDS}
    facts: dict[str, Any] = {
        "subject": subject,
        "refused": failure.detail if failure and not known else None,
        "others": [each for each in faults if each.field not in FIELDS],
        "wrong": known,
        "halls": rooms_of(caller),
    }
    return pages.show("erase", caller, PATH, status=STATUS[failure.code] if failure else 200, **facts)
