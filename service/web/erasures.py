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
from service.errors import InvalidRequest
from service.store.erasure import Erasures, Forgotten
from service.web.bodies import MAX_BODY, WRONG, read_body
from service.web.desk import Asking, Desk
from service.web.parameters import Nothing, read
from telemetry.failure import FieldError
from telemetry.person import person_of

PATH = "/api/v1/audit/erasures"
UNCONFIRMED = FieldError("confirm", "Expected the subject's name once more")


class Erasure(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
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


class Erasing(Struct, frozen=True):
    """Forgets people, in words and files; `forget` is told of each user who was erased."""

    erasures: Erasures
    forget: Callable[[str], None]

    async def erase(self, asked: Erasure, doer: Doer) -> ErasureReport:
        """Forget somebody.

        Raises:
            InvalidRequest: the name is not said twice.
            NotFound, Conflict, DatabaseError: as `Erasures.erase`.
        """
        if asked.confirm != asked.subject:
            raise InvalidRequest(WRONG, fields=(UNCONFIRMED,))
        person = person_of(asked.subject, doer.within)
        done = await self.erasures.erase(person, partial(_row, doer), doer.at)
        self.forget(person)
        left = (await self.erasures.scrub()).left
        return ErasureReport(subject=asked.subject, left=left, **structs.asdict(done))


def routes(erasing: Erasing, desk: Desk) -> list[HTTPRouteHandler]:
    """The route."""

    @post(PATH, status_code=200, request_max_body_size=MAX_BODY)
    async def erase(request: Asking) -> ErasureReport:
        caller = await desk.admit(request, Action.ERASE)
        read(Nothing, request.scope["query_string"])
        return await erasing.erase(await read_body(Erasure, request), desk.doer(request, caller))

    return [erase]


def _row(doer: Doer, done: Forgotten) -> AuditRow:
    return erasure.erased(doer, **structs.asdict(done))
