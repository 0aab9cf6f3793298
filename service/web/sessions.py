"""/api/v1/sessions: the console's sessions that go on; ending one, or all of somebody: logout everywhere.

Refuses others' sessions to those who may not see keys, in the same words whether there are any.
"""

from collections.abc import Callable, Sequence
from logging import INFO
from typing import Annotated, Any, Literal

from litestar import Response, delete, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter
from msgspec import Meta, Struct

from service.audit import credentials
from service.audit.deed import Doer
from service.audit.row import AuditRow
from service.auth.permissions import Action, may, require
from service.auth.sessions import MICROSECONDS, Sessions
from service.auth.tokens import LEEWAY
from service.errors import NotFound
from service.store.sessions import KeptSession, SessionStore
from service.store.tenancy import belongs
from service.web import session
from service.web.desk import Asking, Desk
from service.web.parameters import Nothing, read
from telemetry import log, names
from telemetry.person import person_of, user_of
from telemetry.record import Caller
from telemetry.timestamp import timestamp

ALL = "/api/v1/sessions"
ONE = "/api/v1/sessions/{session_id:str}"
NOBODYS = "There is no session of that id."

Id = Annotated[str, PathParameter(max_length=256)]


class SessionQuery(Struct, frozen=True):
    """Whose sessions; one's own where it is not given."""

    user: Annotated[str, Meta(min_length=1, max_length=256)] | None = None


class Session(Struct, frozen=True, kw_only=True, rename="camel"):
    """A session that goes on; `current` is the one that asks. It began by a link or at a provider."""

    id: str
    user: str
    role: str
    method: Literal["link", "oidc"]
    begun_at: str
    expires_at: str
    current: bool


class SessionList(Struct, frozen=True):
    """A user's sessions, the latest first; a thousand at most."""

    sessions: tuple[Session, ...]


class SessionsEnded(Struct, frozen=True):
    """How many sessions were ended."""

    ended: int


class Opened(Struct, frozen=True):
    """The sessions as they are kept, and as this process lets them in; what a user is called outside.

    `secure` as the console's cookie is.
    """

    kept: SessionStore
    door: Sessions
    pseudonym: Callable[[str], str]
    secure: bool

    async def find(self, session_id: str, caller: Caller, now: int) -> KeptSession:
        """A session that goes on, and is the caller's or of those whom they may see.

        Raises:
            NotFound: there is none.
        """
        found = await self.kept.find(session_id, now)
        if found is None or not _may_see(caller, found.user_id):
            raise NotFound(NOBODYS)
        return found


def _may_see(caller: Caller, person: str) -> bool:
    """Whether somebody's sessions are the caller's own, or of those of their tenant whom they may see."""
    return person == caller.person or (belongs(person, caller.tenant) and may(caller, Action.KEYS))


def routes(opened: Opened, desk: Desk) -> list[HTTPRouteHandler]:
    """The three routes."""

    @get(ALL)
    async def listed(request: Asking) -> SessionList:
        caller, user = await _asked(request, desk)
        return await list_sessions(opened, caller, user, desk.clock())

    @delete(ONE, status_code=204)
    async def ended(request: Asking, session_id: Id) -> Response[None]:
        caller = await desk.admit(request, Action.OWN)
        read(Nothing, request.scope["query_string"])
        ended = await end(opened, desk, request, caller, session_id)
        return left(Response(None, status_code=204), opened, caller, [ended.id])

    @delete(ALL, status_code=200)
    async def ended_all(request: Asking) -> Response[SessionsEnded]:
        caller, user = await _asked(request, desk)
        ended = await end_all(opened, desk, desk.doer(request, caller), user)
        return left(Response(SessionsEnded(len(ended))), opened, caller, ended)

    return [listed, ended, ended_all]


async def list_sessions(opened: Opened, caller: Caller, user: str, now: int) -> SessionList:
    """A person's sessions as the caller sees them; `now` is microseconds since 1970 (UTC)."""
    return SessionList(tuple(_told(each, caller) for each in await opened.kept.list(user, now)))


async def end(opened: Opened, desk: Desk, request: Asking, caller: Caller, session_id: str) -> KeptSession:
    """End one session, and note who did.

    Raises:
        NotFound: there is none that the caller may see.
    """
    doer = desk.doer(request, caller)
    found = await opened.find(session_id, caller, doer.at)
    await opened.door.end(found.id, found.expires_at / MICROSECONDS - LEEWAY)
    desk.note(_noted(opened, doer, found.user_id, [found.id]))
    return found


async def end_all(opened: Opened, desk: Desk, doer: Doer, user: str) -> Sequence[str]:
    """End all sessions of a person, and note who did; gives what they were called."""
    ended = await opened.door.end_all(user)
    desk.note(_noted(opened, doer, user, ended))
    return ended


def left(answer: Response[Any], opened: Opened, caller: Caller, ended: Sequence[str]) -> Any:
    """Have the browser forget the session that asked, where it was ended."""
    if caller.credential_id in ended:
        answer.set_cookie(session.taken(secure=opened.secure))
    return answer


def _noted(opened: Opened, doer: Doer, user: str, ended: Sequence[str]) -> AuditRow:
    """The event of sessions that were ended, which a line tells too."""
    who, caller = opened.pseudonym(user), doer.caller
    fields = {"subject": who, "count": len(ended)}
    named = {"userId": caller.user_id, "role": caller.role} if caller else {}
    log.tell(log.Line(names.SESSIONS_ENDED, INFO, {**named, **fields}, caller.pseudonym if caller else None))
    return credentials.ended(doer, who, ended)


async def _asked(request: Asking, desk: Desk) -> tuple[Caller, str]:
    """Who asks, and about whom; raises Forbidden where that is somebody else's business."""
    caller = await desk.admit(request, Action.OWN)
    return caller, about(caller, read(SessionQuery, request.scope["query_string"]).user)


def about(caller: Caller, user: str | None) -> str:
    """Which person's sessions are meant: the caller's own, unless another user of their tenant is named.

    Raises:
        Forbidden: that is somebody else's business.
    """
    if user and user != caller.user_id:
        require(caller, Action.KEYS)
    return person_of(user, caller.tenant) if user else caller.person


def _told(kept: KeptSession, caller: Caller) -> Session:
    return Session(
        id=kept.id,
        user=user_of(kept.user_id),
        role=kept.role,
        method="oidc" if kept.method == "oidc" else "link",
        begun_at=timestamp(kept.begun_at),
        expires_at=timestamp(kept.expires_at - LEEWAY * MICROSECONDS),
        current=caller.credential_id == kept.id,
    )
