"""/console/sessions: where somebody is signed in, ending one session, or all of them.

Refuses others' sessions to those who may not see keys, as the API's routes do.
"""

from typing import Annotated, Literal
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta, Struct

from service.auth.authenticator import Authenticator
from service.auth.permissions import Action, may
from service.web import session
from service.web.bodies import MAX_BODY
from service.web.console.forms import read_form
from service.web.console.pages import Pages
from service.web.desk import Asking, Desk
from service.web.parameters import Nothing, read
from service.web.sessions import Opened, about, end, end_all, list_sessions
from telemetry.person import user_of
from telemetry.record import Caller

PATH = "/console/sessions"
END = "/console/sessions/end"
END_ALL = "/console/sessions/end-all"

User = Annotated[str, Meta(max_length=256)]


class SessionsQuery(Struct, frozen=True, kw_only=True):
    """Whose sessions; one's own where it is empty. `ended` is what was just done here."""

    user: User = ""
    ended: Literal["", "one", "all"] = ""


class EndForm(Struct, frozen=True):
    """Which session is to end."""

    id: Annotated[str, Meta(max_length=256)] = ""


class UserForm(Struct, frozen=True):
    """Whose sessions are to end; one's own where it is empty."""

    user: User = ""


class Rooms:
    """What the routes share."""

    def __init__(self, pages: Pages, opened: Opened, door: Authenticator, desk: Desk) -> None:
        self.pages, self.opened, self.door, self.desk = pages, opened, door, desk

    def back(self, caller: Caller, person: str, ended: str) -> Response[str]:
        """To the list that somebody came from."""
        whose = {} if person == caller.person else {"user": user_of(person)}
        return self.pages.lead(f"{PATH}?{urlencode({**whose, 'ended': ended})}")

    def left(self, *, everywhere: bool) -> Response[str]:
        """The page of whoever has no session any more."""
        page = self.pages.show("signed_out", everywhere=everywhere)
        page.set_cookie(session.taken(secure=self.opened.secure))
        return page

    async def end_all(self, request: Asking, caller: Caller, user: str) -> Response[str]:
        """End all of a person; of oneself also a token of another issuer that came as the cookie."""
        ended = await end_all(self.opened, self.desk, self.desk.doer(request, caller), user)
        if user != caller.person:
            return self.back(caller, user, "all")
        given = session.credentials_of(request)
        if given.authorization is not None:
            return self.back(caller, user, "all")
        if caller.credential_id not in ended:
            await self.door.sign_out(given)
        return self.left(everywhere=True)


def routes(pages: Pages, opened: Opened, door: Authenticator, desk: Desk) -> list[HTTPRouteHandler]:
    """The routes of the page."""
    rooms = Rooms(pages, opened, door, desk)
    return [*_one(rooms), *_all(rooms)]


def _one(rooms: Rooms) -> list[HTTPRouteHandler]:
    pages, opened, desk = rooms.pages, rooms.opened, rooms.desk

    @get(PATH, include_in_schema=False)
    async def sessions(request: Asking) -> Response[str]:
        caller = await desk.admit(request, Action.OWN)
        query = read(SessionsQuery, request.scope["query_string"])
        user = about(caller, query.user)
        found = (await list_sessions(opened, caller, user, desk.clock())).sessions
        others, ended = may(caller, Action.KEYS), query.ended
        return pages.show(
            "sessions", caller, PATH, user=user_of(user), sessions=found, others=others, ended=ended
        )

    @post(END, request_max_body_size=MAX_BODY, include_in_schema=False)
    async def end_one(request: Asking) -> Response[str]:
        caller = await desk.admit(request, Action.OWN)
        read(Nothing, request.scope["query_string"])
        ended = await end(opened, desk, request, caller, (await read_form(EndForm, request)).id)
        if ended.id == caller.credential_id:
            return rooms.left(everywhere=False)
        return rooms.back(caller, ended.user_id, "one")

    return [sessions, end_one]


def _all(rooms: Rooms) -> list[HTTPRouteHandler]:
    pages, opened, desk = rooms.pages, rooms.opened, rooms.desk

    @get(END_ALL, include_in_schema=False)
    async def asked(request: Asking) -> Response[str]:
        caller = await desk.admit(request, Action.OWN)
        user = about(caller, read(UserForm, request.scope["query_string"]).user)
        found = (await list_sessions(opened, caller, user, desk.clock())).sessions
        return pages.show("sessions_end", caller, PATH, user=user_of(user), count=len(found))

    @post(END_ALL, request_max_body_size=MAX_BODY, include_in_schema=False)
    async def end_every(request: Asking) -> Response[str]:
        caller = await desk.admit(request, Action.OWN)
        read(Nothing, request.scope["query_string"])
        return await rooms.end_all(request, caller, about(caller, (await read_form(UserForm, request)).user))

    return [asked, end_every]
