"""/api/v1/keys: a tenant's API keys listed, made, shown once, and revoked, by the rules of `parley keys`.

Refuses whoever may not; a key's text leaves once, in the answer that made it, and stands nowhere else.
"""

from collections.abc import Callable, Sequence
from logging import INFO
from typing import Annotated, Literal

from litestar import delete, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter
from msgspec import Meta, Struct

from config.settings import ROLE_NAME
from service.audit import credentials
from service.audit.deed import Doer
from service.auth.credentials import USER_NAME
from service.auth.key_terms import SPAN, Scope, micros_of, status_of
from service.auth.keys import NewKey, id_for, make_key
from service.auth.permissions import Action
from service.errors import Conflict, NotFound
from service.store.keys import KeyStore, StoredKey
from service.store.tenancy import belongs
from service.web.bodies import MAX_BODY, read_body
from service.web.desk import Asking, Desk, Note
from service.web.parameters import Nothing, read
from telemetry import log, names
from telemetry.person import person_of, user_of
from telemetry.record import Caller
from telemetry.timestamp import timestamp

ALL = "/api/v1/keys"
ONE = "/api/v1/keys/{key_id:str}"
NONE = "There is no key of that id, or it was revoked before."
GRANTED = "This form was sent before. The key that it made was shown then, and is shown to nobody again."

Id = Annotated[str, PathParameter(max_length=256)]


class KeyBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom a key is for, and for how long it holds: 90d, 12h, 30m; for good where that is not given."""

    user: Annotated[str, Meta(pattern=rf"^{USER_NAME}\Z")]
    role: Annotated[str, Meta(pattern=rf"^{ROLE_NAME}\Z")]
    scopes: tuple[Scope, ...] = ()
    expires: Annotated[str, Meta(pattern=rf"^{SPAN}\Z")] | None = None


class Key(Struct, frozen=True, kw_only=True, rename="camel"):
    """A key as it stands, without its text; when it was last used is known to the minute or so."""

    id: str
    user: str
    role: str
    scopes: tuple[str, ...]
    status: Literal["active", "expired", "revoked"]
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    last_used_at: str | None = None


class KeyList(Struct, frozen=True):
    """All keys that were made, the oldest first."""

    keys: tuple[Key, ...]


class KeyMade(Struct, frozen=True, kw_only=True, rename="camel"):
    """A key that was just made; `key` is told this once."""

    id: str
    key: str
    user: str
    role: str
    scopes: tuple[str, ...] = ()
    expires_at: str | None = None


class Cabinet(Struct, frozen=True):
    """Where keys are kept and under what (the first), who is told of one that is revoked, a user's pseudonym.

    The peppers may be others from one look to the next.
    """

    store: KeyStore
    peppers: Sequence[bytes]
    drop: Callable[[str], None]
    pseudonym: Callable[[str], str]


def routes(cabinet: Cabinet, desk: Desk) -> list[HTTPRouteHandler]:
    """The three routes."""

    @get(ALL)
    async def listed(request: Asking) -> KeyList:
        caller = await admitted(request, desk)
        return await list_keys(cabinet, caller, desk.clock())

    @post(ALL, status_code=201, request_max_body_size=MAX_BODY)
    async def made(request: Asking) -> KeyMade:
        caller = await admitted(request, desk)
        return await make(cabinet, desk, desk.doer(request, caller), await read_body(KeyBody, request))

    @delete(ONE, status_code=204)
    async def revoked(request: Asking, key_id: Id) -> None:
        caller = await admitted(request, desk)
        await revoke(cabinet, desk.note, desk.doer(request, caller), key_id)

    return [listed, made, revoked]


async def list_keys(cabinet: Cabinet, caller: Caller, now: int) -> KeyList:
    """The keys of the caller's tenant as they stand; `now` is microseconds since 1970 (UTC).

    Raises:
        DatabaseError: nobody could look.
    """
    found = await cabinet.store.within(caller.tenant).list()
    return KeyList(tuple(_told(key, now) for key in found))


async def find_key(cabinet: Cabinet, caller: Caller, key_id: str, now: int) -> Key:
    """One key of the caller's tenant as it stands.

    Raises:
        NotFound: there is none, or it was revoked before.
    """
    found = await cabinet.store.find(key_id)
    if found is None or found.revoked_at is not None or not belongs(found.user_id, caller.tenant):
        raise NotFound(NONE)
    return _told(found, now)


async def make(cabinet: Cabinet, desk: Desk, doer: Doer, body: KeyBody, wish: str | None = None) -> KeyMade:
    """Make a key, and note who did; for one `wish` of a person there is one key, however often it comes.

    Raises:
        Conflict: this wish was granted before.
        DatabaseError: it cannot be kept.
    """
    new = make_key(cabinet.peppers[0], await _unmade(cabinet, doer, wish) if wish else None)
    told, who = await _keep(cabinet, new, body, doer), cabinet.pseudonym(person_of(body.user, doer.within))
    desk.note(credentials.made(doer, told.id, who, body.role, told.scopes, body.expires))
    log.tell(line_of(names.KEY_MADE, doer, told.id, subject=who, subjectRole=body.role))
    return told


async def revoke(cabinet: Cabinet, note: Note, doer: Doer, key_id: str) -> None:
    """Make a key hold no longer, and note who did.

    Raises:
        NotFound: there is none, or it was revoked before.
        DatabaseError: nobody could.
    """
    if not await cabinet.store.within(doer.within).revoke(key_id, doer.at):
        raise NotFound(NONE)
    cabinet.drop(key_id)
    note(credentials.revoked(doer, key_id))
    log.tell(line_of(names.KEY_REVOKED, doer, key_id))


async def admitted(request: Asking, desk: Desk) -> Caller:
    """Who asks, and may make and end keys."""
    caller = await desk.admit(request, Action.KEYS)
    read(Nothing, request.scope["query_string"])
    return caller


async def _unmade(cabinet: Cabinet, doer: Doer, wish: str) -> str:
    """The id for somebody's wish, while no key has it."""
    whose = doer.caller.person if doer.caller else ""
    key_id = id_for(f"{whose} {wish}", cabinet.peppers[0])
    if await cabinet.store.find(key_id):
        raise Conflict(GRANTED)
    return key_id


async def _keep(cabinet: Cabinet, new: NewKey, body: KeyBody, doer: Doer) -> KeyMade:
    now, scopes = doer.at, tuple(dict.fromkeys(body.scopes))
    key = StoredKey(
        id=new.id,
        user_id=person_of(body.user, doer.within),
        role=body.role,
        scopes=scopes,
        digest=new.digest,
        created_at=now,
        expires_at=now + micros_of(body.expires) if body.expires else None,
    )
    await cabinet.store.add(key)
    return shown(new, key)


def shown(new: NewKey, key: StoredKey) -> KeyMade:
    """The one time that a key's text is told."""
    return KeyMade(
        id=new.id,
        key=new.key,
        user=user_of(key.user_id),
        role=key.role,
        scopes=key.scopes,
        expires_at=time_of(key.expires_at),
    )


def _told(key: StoredKey, now: int) -> Key:
    return Key(
        id=key.id,
        user=user_of(key.user_id),
        role=key.role,
        scopes=key.scopes,
        status=status_of(key, now),
        created_at=timestamp(key.created_at),
        expires_at=time_of(key.expires_at),
        revoked_at=time_of(key.revoked_at),
        last_used_at=time_of(key.last_used_at),
    )


def time_of(moment: int | None) -> str | None:
    """A moment in words, where there is one."""
    return None if moment is None else timestamp(moment)


def line_of(kind: str, doer: Doer, key_id: str, **more: str) -> log.Line:
    """The line of something that was done to a key."""
    caller = doer.caller
    named = {"userId": caller.user_id, "role": caller.role} if caller else {}
    return log.Line(kind, INFO, {**named, "keyId": key_id, **more}, caller.pseudonym if caller else None)
