"""POST /api/v1/tokens/revoke: one session, token or key, or all of a user's; as `parley tokens revoke`.

Refuses whoever may not see keys, and a wish that names neither one token nor one user. What another tenant
was issued holds on, whatever it is called; only a command without a tenant ends a name in all.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from logging import INFO
from typing import Annotated

from litestar import post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta, Struct, structs

from service.audit import credentials
from service.audit.deed import Doer
from service.auth.credentials import USER_NAME
from service.auth.keys import PREFIX
from service.auth.permissions import Action
from service.auth.sessions import Sessions
from service.auth.tokens import FORM
from service.errors import InvalidRequest, NotFound
from service.web import keys
from service.web.bodies import MAX_BODY, WRONG, read_body
from service.web.desk import Asking, Desk, Note
from service.web.keys import Cabinet
from service.web.parameters import WHEN, Nothing, moment_of, read
from telemetry import log, names
from telemetry.failure import FieldError
from telemetry.person import parted, person_of
from telemetry.timestamp import timestamp

PATH = "/api/v1/tokens/revoke"
OBJECT = "eyJ"
"""What a token begins with, as every JSON object in base64."""
KEPT = 3_650 * 86_400_000_000
"""Microseconds for which the end of one token is kept: longer than any token may hold here."""
EITHER = FieldError("token", "Expected either `token` or `user`")
USERS = "Expected only with `user`"
NAMED = FieldError("token", "Expected what it is called, not the token or key itself")


class RevocationBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds no longer.

    `token` is a token's `jti`, or what a session, token or key is called in the audit (`credentialId`). With
    `user` it is all that was issued to that user before a time of ISO 8601, which is now where it is not
    given; with `keys` that user's API keys too, whenever they were made.
    """

    token: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    user: Annotated[str, Meta(pattern=rf"^{USER_NAME}\Z")] | None = None
    before: Annotated[str, Meta(max_length=64)] | None = None
    keys: bool = False


class Revoked(Struct, frozen=True, kw_only=True):
    """What was ended: one `token`, or all of a `user` from before then; how many sessions, which keys by id.

    Of tokens of another issuer nobody knows how many there are.
    """

    token: str | None = None
    user: str | None = None
    before: str | None = None
    sessions: int = 0
    keys: tuple[str, ...] = ()


class Revoking(Struct, frozen=True):
    """Where tokens are ended and where keys, and who is told of a person whose keys were."""

    door: Sessions
    keys: Cabinet
    forget: Callable[[str], None]


def route(revoking: Revoking, desk: Desk) -> HTTPRouteHandler:
    """The route."""

    @post(PATH, status_code=200, request_max_body_size=MAX_BODY)
    async def revoked(request: Asking) -> Revoked:
        caller = await desk.admit(request, Action.KEYS)
        read(Nothing, request.scope["query_string"])
        body = await read_body(RevocationBody, request)
        return await revoke(revoking, desk.note, desk.doer(request, caller), body)

    return revoked


async def revoke(revoking: Revoking, note: Note, doer: Doer, body: RevocationBody) -> Revoked:
    """End what is meant, and note who did.

    Raises:
        InvalidRequest: naming what is wrong.
        DatabaseError: nobody could.
    """
    before = _before(body, doer.at)
    if body.token is not None:
        return await _named(revoking, note, doer, body.token)
    return await _of_user(revoking, note, doer, body, before)


async def _named(revoking: Revoking, note: Note, doer: Doer, name: str) -> Revoked:
    everywhere = doer.caller is None and doer.tenant is None
    await revoking.door.end_named(name, doer.at + KEPT, doer.within, everywhere=everywhere)
    note(credentials.token_revoked(doer, name))
    _say(doer, count=1)
    return Revoked(token=name, keys=await _key(revoking.keys, note, doer, name, everywhere=everywhere))


async def _key(cabinet: Cabinet, note: Note, doer: Doer, name: str, *, everywhere: bool) -> tuple[str, ...]:
    """The key of that id, where there is one: the audit names who came by a key by its id."""
    if everywhere and (found := await cabinet.store.find(name)):
        doer = structs.replace(doer, tenant=parted(found.user_id)[0])
    with suppress(NotFound):
        await keys.revoke(cabinet, note, doer, name)
        return (name,)
    return ()


async def _of_user(revoking: Revoking, note: Note, doer: Doer, body: RevocationBody, before: int) -> Revoked:
    user = body.user or ""
    person = person_of(user, doer.within)
    who, sessions = revoking.keys.pseudonym(person), await revoking.door.bar(person, before)
    ended: Sequence[str] = ()
    if body.keys:
        ended = await revoking.keys.store.revoke_all(person, doer.at)
        revoking.forget(person)
    note(credentials.all_revoked(doer, who, timestamp(before), sessions, ended))
    _say(doer, subject=who, count=len(sessions))
    return Revoked(user=user, before=timestamp(before), sessions=len(sessions), keys=tuple(ended))


def _before(body: RevocationBody, now: int) -> int:
    """Until when all is meant; raises InvalidRequest where what is meant is not said well."""
    wrong = [*_wrong(body)]
    try:
        before = now if body.before is None else int(moment_of(body.before))
    except ValueError:
        before, wrong = now, [*wrong, FieldError("before", WHEN)]
    if wrong:
        raise InvalidRequest(WRONG, fields=tuple(wrong))
    return before


def _wrong(body: RevocationBody) -> Iterator[FieldError]:
    """What does not go together, and what must not come to be kept."""
    if (body.token is None) == (body.user is None):
        yield EITHER
    elif body.token is not None and _whole(body.token):
        yield NAMED
    if body.user is None:
        yield from (FieldError(name, USERS) for name, given in _with_user(body).items() if given)


def _whole(text: str) -> bool:
    """Whether it looks like a key or a token, and not like what one is called."""
    return text.startswith(PREFIX) or bool(text.startswith(OBJECT) and FORM.fullmatch(text))


def _with_user(body: RevocationBody) -> dict[str, bool]:
    return {"before": body.before is not None, "keys": body.keys}


def _say(doer: Doer, **fields: int | str) -> None:
    caller = doer.caller
    named = {"userId": caller.user_id, "role": caller.role} if caller else {}
    pseudonym = caller.pseudonym if caller else None
    log.tell(log.Line(names.TOKENS_REVOKED, INFO, {**named, **fields}, pseudonym))
