"""/console/keys: API keys listed, made, shown once, revoked after a yes; by the rules of the API's routes.

Refuses a key's text a place in an address, in a browser's history, or in a second answer to the same form.
"""

import secrets
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter
from msgspec import Meta, Struct

from config.settings import ROLES
from service.auth.permissions import Action
from service.errors import InvalidRequest
from service.web import fields
from service.web.bodies import MAX_BODY
from service.web.console.forms import read_form
from service.web.console.pages import Pages
from service.web.desk import Asking, Desk
from service.web.keys import Cabinet, Key, KeyBody, find_key, list_keys, make, revoke
from service.web.parameters import Nothing, read
from telemetry.failure import FieldError
from telemetry.record import Caller

PATH = "/console/keys"
REVOKE = "/console/keys/{key_id:str}/revoke"
SHOWN = 200
"""Keys of a list, the latest; a filter finds the others."""
SPANS = ("1d", "7d", "30d", "90d", "365d", "")
"""For how long a key may be made to hold, by the form; "" is for good."""
WORDS = MappingProxyType(
    {
        "user": "A name without blanks, of at most 128 characters.",
        "role": "Capital letters, digits and _, a letter first, at most 32: AUDITOR.",
        "expires": "A number and d, h or m: 90d.",
        "scopes": "Not a scope that there is.",
    }
)
"""What is wrong with a field, for people."""
STALE = FieldError("wish", "Open the page anew")

Id = Annotated[str, PathParameter(max_length=256)]


class KeyQuery(Struct, frozen=True, kw_only=True):
    """Which keys are shown; `revoked` is one that just was."""

    q: Annotated[str, Meta(max_length=256)] = ""
    status: Literal["", "active", "expired", "revoked"] = ""
    revoked: Annotated[str, Meta(max_length=64)] = ""


class KeyForm(Struct, frozen=True, kw_only=True):
    """A key as somebody wishes it. `wish` is the form's own: the same one again makes no second key."""

    user: str = ""
    role: str = ""
    scope: str = ""
    expires: str = "90d"
    wish: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")] = ""


def routes(pages: Pages, cabinet: Cabinet, desk: Desk) -> list[HTTPRouteHandler]:
    """The routes of the page."""
    return [*_making(pages, cabinet, desk), *_revoking(pages, cabinet, desk)]


def _making(pages: Pages, cabinet: Cabinet, desk: Desk) -> list[HTTPRouteHandler]:
    @get(PATH, include_in_schema=False)
    async def keys(request: Asking) -> Response[str]:
        caller = await desk.admit(request, Action.KEYS)
        query = read(KeyQuery, request.scope["query_string"])
        return await _page(pages, cabinet, desk, caller, query=query)

    @post(PATH, status_code=201, request_max_body_size=MAX_BODY, include_in_schema=False)
    async def made(request: Asking) -> Response[str]:
        caller = await desk.admit(request, Action.KEYS)
        read(Nothing, request.scope["query_string"])
        form = await read_form(KeyForm, request)
        body, wrong = _body(form)
        if body is None:
            return await _page(pages, cabinet, desk, caller, form=form, wrong=wrong)
        told = await make(cabinet, desk, desk.doer(request, caller), body, form.wish)
        # no redirect: the text would have to wait somewhere for the next request
        return pages.show("key_made", caller, PATH, status=201, made=told)

    return [keys, made]


def _revoking(pages: Pages, cabinet: Cabinet, desk: Desk) -> list[HTTPRouteHandler]:
    @get(REVOKE, include_in_schema=False)
    async def asked(request: Asking, key_id: Id) -> Response[str]:
        caller = await desk.admit(request, Action.KEYS)
        read(Nothing, request.scope["query_string"])
        return pages.show(
            "key_revoke", caller, PATH, key=await find_key(cabinet, caller, key_id, desk.clock())
        )

    @post(REVOKE, request_max_body_size=MAX_BODY, include_in_schema=False)
    async def revoked(request: Asking, key_id: Id) -> Response[str]:
        caller = await desk.admit(request, Action.KEYS)
        read(Nothing, request.scope["query_string"])
        await revoke(cabinet, desk.note, desk.doer(request, caller), key_id)
        return pages.lead(f"{PATH}?revoked={key_id}")

    return [asked, revoked]


async def _page(pages: Pages, cabinet: Cabinet, desk: Desk, caller: Caller, **given: Any) -> Response[str]:
    """The list and the form; with what is `wrong` in it, where something is."""
    query, form, wrong = given.get("query", KeyQuery()), given.get("form", KeyForm()), given.get("wrong", {})
    everything = (await list_keys(cabinet, caller, desk.clock())).keys
    found = [key for key in reversed(everything) if _meant(key, query)]
    return pages.show(
        *("keys", caller, PATH),
        status=400 if wrong else 200,
        query=query,
        keys=found[:SHOWN],
        found=len(found),
        total=len(everything),
        revoked=any(key.id == query.revoked and key.status == "revoked" for key in everything),
        form=form,
        wrong=wrong,
        wish=secrets.token_hex(16),
        roles=tuple(ROLES),
        spans=SPANS,
    )


def _meant(key: Key, query: KeyQuery) -> bool:
    shown = " ".join((key.id, key.user, key.role, *key.scopes)).casefold()
    named = query.status in {"", key.status}
    return named and all(word in shown for word in query.q.casefold().split())


def _body(form: KeyForm) -> tuple[KeyBody | None, dict[str, str]]:
    """The same as a body of the API's route, or what is wrong by field.

    Raises:
        InvalidRequest: it is no form of this page.
    """
    if not form.wish:
        raise InvalidRequest("The form is not whole.", fields=(STALE,))
    given: dict[str, Any] = {"user": form.user.strip(), "role": form.role.strip()}
    given |= {"expires": form.expires or None, "scopes": [form.scope] if form.scope else []}
    values, wrong = fields.decode(KeyBody, msgspec.json.encode(given))
    return (None, {each.field: WORDS[each.field] for each in wrong}) if wrong else (KeyBody(**values), {})
