"""/api/v1/keys: API keys listed, made, shown once, and revoked, by the rules of `parley keys`.

Refuses whoever may not; a key's text leaves once, in the answer that made it, and stands nowhere else.
"""

from collections.abc import Callable
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
from service.web.bodies import MAX_BODY, read_body
from service.web.desk import Asking, Desk
from service.web.parameters import Nothing, read
from telemetry import log, names
from telemetry.record import Caller
from telemetry.timestamp import timestamp

ALL = "/api/v1/keys"
ONE = "/api/v1/keys/{key_id:str}"
NONE = "There is no key of that id, or it was revoked before."
GRANTED = "This form was sent before. The key that it made was shown then, and is shown to nobody again."

Id = Annotated[str, PathParameter(max_length=256)]


class KeyBody(Struct, frozen=True, kw_only=True):
    """Whom a key is for, and for how long it holds: 90d, 12h, 30m; for good where that is not given."""

    user: Annotated[str, Meta(pattern=rf"^{USER_NAME}\Z")]
    role: Annotated[str, Meta(pattern=rf"^{ROLE_NAME}\Z")]
    scopes: tuple[Scope, ...] = ()
    expires: Annotated[str, Meta(pattern=rf"^{SPAN}\Z")] | None = None


class Key(Struct, frozen=True, kw_only=True, rename="camel"):
    """A key as it stands, without its text."""

    id: str
    user: str
    role: str
    scopes: tuple[str, ...]
    status: Literal["active", "expired", "revoked"]
    created_at: str
    expires_at: str | None
    revoked_at: str | None


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
    """Where keys are kept and under what, who is told of one that is revoked, and a user's pseudonym."""

    store: KeyStore
    pepper: bytes
    drop: Callable[[str], None]
    pseudonym: Callable[[str], str]


def routes(cabinet: Cabinet, desk: Desk) -> list[HTTPRouteHandler]:
    """The three routes."""

    @get(ALL)
    async def listed(request: Asking) -> KeyList:
        await _admitted(request, desk)
        return await list_keys(cabinet, desk.clock())

    @post(ALL, status_code=201, request_max_body_size=MAX_BODY)
    async def made(request: Asking) -> KeyMade:
        caller = await _admitted(request, desk)
        return await make(cabinet, desk, desk.doer(request, caller), await read_body(KeyBody, request))

    @delete(ONE, status_code=204)
    async def revoked(request: Asking, key_id: Id) -> None:
        caller = await _admitted(request, desk)
        await revoke(cabinet, desk, desk.doer(request, caller), key_id)

    return [listed, made, revoked]


async def list_keys(cabinet: Cabinet, now: int) -> KeyList:
    """All keys as they stand; `now` is microseconds since 1970 (UTC). Raises DatabaseError."""
    return KeyList(tuple(_told(key, now) for key in await cabinet.store.list()))


async def find_key(cabinet: Cabinet, key_id: str, now: int) -> Key:
    """One key as it stands.

    Raises:
        NotFound: there is none, or it was revoked before.
    """
    found = await cabinet.store.find(key_id)
    if found is None or found.revoked_at is not None:
        raise NotFound(NONE)
    return _told(found, now)


async def make(cabinet: Cabinet, desk: Desk, doer: Doer, body: KeyBody, wish: str | None = None) -> KeyMade:
    """Make a key, and note who did; for one `wish` of a person there is one key, however often it comes.

    Raises:
        Conflict: this wish was granted before.
        DatabaseError: it cannot be kept.
    """
    new = make_key(cabinet.pepper, await _unmade(cabinet, doer, wish) if wish else None)
    told, who = await _keep(cabinet, new, body, doer.at), cabinet.pseudonym(body.user)
    desk.note(credentials.made(doer, told.id, who, body.role, told.scopes, body.expires))
    log.tell(_line(names.KEY_MADE, doer, told.id, subject=who, subjectRole=body.role))
    return told


async def revoke(cabinet: Cabinet, desk: Desk, doer: Doer, key_id: str) -> None:
    """Make a key hold no longer, and note who did.

    Raises:
        NotFound: there is none, or it was revoked before.
        DatabaseError: nobody could.
    """
    if not await cabinet.store.revoke(key_id, doer.at):
        raise NotFound(NONE)
    cabinet.drop(key_id)
    desk.note(credentials.revoked(doer, key_id))
    log.tell(_line(names.KEY_REVOKED, doer, key_id))


async def _admitted(request: Asking, desk: Desk) -> Caller:
    caller = await desk.admit(request, Action.KEYS)
    read(Nothing, request.scope["query_string"])
    return caller


async def _unmade(cabinet: Cabinet, doer: Doer, wish: str) -> str:
    """The id for somebody's wish, while no key has it."""
    whose = doer.caller.user_id if doer.caller else ""
    key_id = id_for(f"{whose} {wish}", cabinet.pepper)
    if await cabinet.store.find(key_id):
        raise Conflict(GRANTED)
    return key_id


async def _keep(cabinet: Cabinet, new: NewKey, body: KeyBody, now: int) -> KeyMade:
    scopes = tuple(dict.fromkeys(body.scopes))
    key = StoredKey(
        id=new.id,
        user_id=body.user,
        role=body.role,
        scopes=scopes,
        digest=new.digest,
        created_at=now,
        expires_at=now + micros_of(body.expires) if body.expires else None,
    )
    await cabinet.store.add(key)
    until = _time(key.expires_at)
    return KeyMade(id=new.id, key=new.key, user=body.user, role=body.role, scopes=scopes, expires_at=until)


def _told(key: StoredKey, now: int) -> Key:
    return Key(
        id=key.id,
        user=key.user_id,
        role=key.role,
        scopes=key.scopes,
        status=status_of(key, now),
        created_at=timestamp(key.created_at),
        expires_at=_time(key.expires_at),
        revoked_at=_time(key.revoked_at),
    )


def _time(moment: int | None) -> str | None:
    return None if moment is None else timestamp(moment)


def _line(kind: str, doer: Doer, key_id: str, **more: str) -> log.Line:
    caller = doer.caller
    named = {"userId": caller.user_id, "role": caller.role} if caller else {}
    return log.Line(kind, INFO, {**named, "keyId": key_id, **more}, caller.pseudonym if caller else None)
