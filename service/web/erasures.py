"""POST /api/v1/audit/erasures: forget a person, as `parley audit erase` does.

Refuses a request that does not say the name twice, and somebody under legal hold.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated

from litestar import post
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta, Struct, structs

from service.audit import erasure
from service.audit.deed import Doer
from service.audit.row import AuditRow
from service.auth.permissions import Action
from service.errors import InvalidRequest, UnsupportedMediaType
from service.store.erasure import Erasures, Forgotten
from service.web import fields
from service.web.ask import is_json
from service.web.desk import Asking, Desk
from service.web.identity import identity_of
from service.web.parameters import Nothing, read
from telemetry.failure import FieldError
from telemetry.record import Caller

PATH = "/api/v1/audit/erasures"
MAX_BODY = 1 << 14
"""Bytes."""
WRONG = "Some fields are not what this route takes."


class Erasure(Struct, frozen=True, kw_only=True):
    """Whom to forget; `confirm` is the name once more, because it cannot be undone."""

    subject: Annotated[str, Meta(min_length=1, max_length=256)]
    confirm: Annotated[str, Meta(min_length=1, max_length=256)]


class ErasureReport(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was forgotten: how many events lost name and text, and what went whole.

    `subject_id` is the random id that stands in the events from now on. `left` says, a sentence each, what of
    the database's files could not be cleared yet.
    """

    subject: str
    subject_id: str
    events: int
    conversations: int
    answers: int
    api_keys: int
    left: tuple[str, ...]


def routes(erasures: Erasures, desk: Desk, forget: Callable[[str], None]) -> list[HTTPRouteHandler]:
    """The route; `forget` is told of each user who was erased."""

    @post(PATH, status_code=200, request_max_body_size=MAX_BODY)
    async def erase(request: Asking) -> ErasureReport:
        caller = await desk.admit(request, Action.ERASE)
        read(Nothing, request.scope["query_string"])
        asked = await _asked(request)
        doer = _doer(request, caller, desk.clock())
        done = await erasures.erase(asked.subject, partial(_row, doer), doer.at)
        forget(asked.subject)
        left = (await erasures.scrub()).left
        return ErasureReport(subject=asked.subject, left=left, **structs.asdict(done))

    return [erase]


async def _asked(request: Asking) -> Erasure:
    """What is asked for; raises InvalidRequest or UnsupportedMediaType."""
    if not is_json(request.headers.get("content-type", "")):
        raise UnsupportedMediaType("The body must be application/json.")
    values, errors = fields.decode(Erasure, await request.body())
    if not errors and values["confirm"] != values["subject"]:
        errors = (FieldError("confirm", "Expected the subject's name once more"),)
    if errors:
        raise InvalidRequest(WRONG, fields=errors)
    return Erasure(**values)


def _doer(request: Asking, caller: Caller, at: int) -> Doer:
    identity = identity_of(request.scope)
    return Doer(caller=caller, request_id=identity.request_id, trace_id=identity.trace_id, at=at)


def _row(doer: Doer, done: Forgotten) -> AuditRow:
    return erasure.erased(doer, **structs.asdict(done))
