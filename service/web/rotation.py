"""POST /api/v1/keys/{id}/rotate: a key in another's place; both hold for a while. As `parley keys rotate`.

Refuses to rotate what holds no longer: who lost a key that was revoked is not given another.
"""

from typing import Annotated

from litestar import post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta, Struct, structs

from service.audit import credentials
from service.audit.deed import Doer
from service.auth.key_terms import OVERLAP, SPAN, micros_of, status_of
from service.auth.keys import NewKey, make_key
from service.errors import NotFound
from service.store.keys import StoredKey
from service.store.tenancy import belongs
from service.web.bodies import MAX_BODY, read_body
from service.web.desk import Asking, Desk, Note
from service.web.keys import Cabinet, Id, KeyMade, admitted, line_of, shown, time_of
from telemetry import log, names
from telemetry.timestamp import timestamp

PATH = "/api/v1/keys/{key_id:str}/rotate"
GONE = "There is no key of that id, or it holds no longer."


class RotationBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how long the earlier key holds on beside the new one, and the new one altogether.

    Without `expires` it holds for as long as the earlier one was made to.
    """

    overlap: Annotated[str, Meta(pattern=rf"^{SPAN}\Z")] = OVERLAP
    expires: Annotated[str, Meta(pattern=rf"^{SPAN}\Z")] | None = None


class KeyRotated(KeyMade, frozen=True, kw_only=True, rename="camel"):
    """A key in another's place: the id of that one, and when it holds no longer."""

    replaces: str
    replaced_until: str


def route(cabinet: Cabinet, desk: Desk) -> HTTPRouteHandler:
    """The route."""

    @post(PATH, status_code=201, request_max_body_size=MAX_BODY)
    async def rotated(request: Asking, key_id: Id) -> KeyRotated:
        caller = await admitted(request, desk)
        doer, body = desk.doer(request, caller), await read_body(RotationBody, request)
        return await rotate(cabinet, desk.note, doer, key_id, body)

    return rotated


async def rotate(cabinet: Cabinet, note: Note, doer: Doer, key_id: str, body: RotationBody) -> KeyRotated:
    """Make a key in another's place, which holds on for a while, and note who did.

    Raises:
        NotFound: there is none in the tenant, or it holds no longer.
        DatabaseError: it cannot be kept.
    """
    old = await cabinet.store.find(key_id)
    if old is None or not belongs(old.user_id, doer.within) or status_of(old, doer.at) != "active":
        raise NotFound(GONE)
    new, until = make_key(cabinet.peppers[0]), doer.at + micros_of(body.overlap)
    until = until if old.expires_at is None else min(until, old.expires_at)
    key = _successor(old, new, _end(old, body, doer.at), doer.at)
    if not await cabinet.store.succeed(key_id, until, key):
        raise NotFound(GONE)
    cabinet.drop(key_id)
    ends = timestamp(until)
    note(credentials.rotated(doer, new.id, key_id, ends, time_of(key.expires_at)))
    who = cabinet.pseudonym(old.user_id)
    log.tell(line_of(names.KEY_MADE, doer, new.id, subject=who, subjectRole=old.role))
    told = structs.asdict(shown(new, key))
    return KeyRotated(**told, replaces=key_id, replaced_until=ends)


def _successor(old: StoredKey, new: NewKey, expires_at: int | None, now: int) -> StoredKey:
    fresh = {"id": new.id, "digest": new.digest, "created_at": now, "expires_at": expires_at}
    return structs.replace(old, **fresh, last_used_at=None)


def _end(old: StoredKey, body: RotationBody, now: int) -> int | None:
    """When the new key ends: as is wished, else after as long as the earlier one was made for."""
    if body.expires:
        return now + micros_of(body.expires)
    return None if old.expires_at is None else now + old.expires_at - old.created_at
