"""PUT, GET, DELETE /api/v1/agent/turns/{turn id}/feedback: a caller's word on a turn; and counts of all.

Refuses everybody else's turns in the same words as turns that never were.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from logging import INFO
from typing import Annotated, Literal, Protocol

from litestar import delete, get, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter
from msgspec import Meta, Struct
from opentelemetry import metrics, trace

from service.audit import opinion
from service.audit.deed import Doer
from service.audit.row import AuditRow
from service.auth.permissions import Action
from service.errors import NotFound
from service.store.feedback import NONE_GIVEN, Feedback, Given, Tell
from service.web.bodies import MAX_BODY, read_body
from service.web.desk import Asking, Desk
from service.web.parameters import Nothing, Period, read
from telemetry import log, names
from telemetry.record import Caller
from telemetry.timestamp import timestamp

PATH = "/api/v1/agent/turns/{turn_id:str}/feedback"
COUNTS = "/api/v1/feedback"
PAUSES = (0.05, 0.1, 0.2, 0.4)
"""Seconds between looks for a turn that ended just now, until its row is written."""

RATINGS = ("up", "down")

Id = Annotated[str, PathParameter(max_length=256)]

_given = metrics.get_meter(names.SCOPE).create_counter(
    names.FEEDBACK, unit="{rating}", description="What callers said of their turns, each time"
)


class Counting(Protocol):
    """Counts what callers said of their turns."""

    async def count(self, since: int | None, until: int | None) -> Sequence[Given]:
        """How often models were rated up and down; raises DatabaseError."""
        ...


class Opinions(Protocol):
    """Where callers' words on their turns are kept; every method raises DatabaseError."""

    async def turn_of(self, turn_id: str, user_id: str) -> tuple[str | None, str | None]:
        """The model and the trace of a user's own turn, as far as known; raises NotFound."""
        ...

    async def give(self, user_id: str, said: Feedback, tell: Tell | None) -> None:
        """Keep what a user says."""
        ...

    async def withdraw(self, user_id: str, turn_id: str, tell: Tell | None) -> Feedback:
        """Forget what a user said; raises NotFound."""
        ...

    async def find(self, turn_id: str, user_id: str | None = None) -> Feedback | None:
        """What was said."""
        ...

    def within(self, tenant: str | None, /) -> Counting:
        """The counts of one tenant alone."""
        ...


class FeedbackBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a caller says of a turn."""

    rating: Literal["up", "down"]
    comment: Annotated[str, Meta(min_length=1, max_length=2_000)] | None = None


class FeedbackTold(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was said; `trace_id` leads to the turn, null where its row is not kept."""

    turn_id: str
    rating: str
    comment: str | None
    given_at: str
    trace_id: str | None


class Ratings(Struct, frozen=True, kw_only=True):
    """How often turns were rated up and down."""

    up: int
    down: int


class ModelRatings(Ratings, frozen=True, kw_only=True):
    """The same of one model; null where it is not known."""

    model: str | None


class FeedbackReport(Struct, frozen=True, kw_only=True):
    """Ratings by model, and of all."""

    rows: tuple[ModelRatings, ...]
    total: Ratings


def routes(opinions: Opinions, desk: Desk) -> list[HTTPRouteHandler]:
    """The four routes; a rating that nobody gave yet is counted as none."""
    for rating in RATINGS:
        _given.add(0, {"rating": rating})

    @get(PATH)
    async def shown(request: Asking, turn_id: Id) -> FeedbackTold:
        caller, turn_id = await _admitted(desk, request, turn_id)
        said = await opinions.find(turn_id, caller.person)
        if said is None:
            raise NotFound(NONE_GIVEN)
        return _told(said)

    @delete(PATH)
    async def withdrawn(request: Asking, turn_id: Id) -> None:
        caller, turn_id = await _admitted(desk, request, turn_id)
        tell = partial(_event, desk.doer(request, caller), withdrawn=True) if desk.audited else None
        _say(caller, await opinions.withdraw(caller.person, turn_id, tell), withdrawn=True)

    return [_giving(opinions, desk), shown, withdrawn, _counting(opinions, desk)]


def _giving(opinions: Opinions, desk: Desk) -> HTTPRouteHandler:
    @put(PATH, request_max_body_size=MAX_BODY)
    async def given(request: Asking, turn_id: Id) -> FeedbackTold:
        caller, turn_id = await _admitted(desk, request, turn_id)
        body, doer = await read_body(FeedbackBody, request), desk.doer(request, caller)
        model, trace_id = await _turn_of(opinions, turn_id, caller.person, patient=desk.audited)
        said = Feedback(
            turn_id=turn_id,
            rating=body.rating,
            comment=body.comment,
            given_at=doer.at,
            model=model,
            trace_id=trace_id,
        )
        await opinions.give(caller.person, said, partial(_event, doer) if desk.audited else None)
        _given.add(1, {"rating": body.rating})
        _say(caller, said)
        return _told(said)

    return given


def _counting(opinions: Opinions, desk: Desk) -> HTTPRouteHandler:
    @get(COUNTS)
    async def counted(request: Asking) -> FeedbackReport:
        caller = await desk.admit(request, Action.USAGE_ALL)
        span = read(Period, request.scope["query_string"]).span()
        return report(await opinions.within(caller.tenant).count(span["since"], span["until"]))

    return counted


def report(given: Sequence[Given]) -> FeedbackReport:
    """Counts, a row for each model."""
    counts = {(each.model, each.rating): each.count for each in given}
    rows = [
        ModelRatings(model=model, up=counts.get((model, "up"), 0), down=counts.get((model, "down"), 0))
        for model in dict.fromkeys(each.model for each in given)
    ]
    total = Ratings(up=sum(row.up for row in rows), down=sum(row.down for row in rows))
    return FeedbackReport(rows=tuple(rows), total=total)


async def _admitted(desk: Desk, request: Asking, turn_id: str) -> tuple[Caller, str]:
    caller = await desk.admit(request, Action.OWN)
    read(Nothing, request.scope["query_string"])
    trace.get_current_span().set_attribute(names.TURN_ID, turn_id.lower())
    return caller, turn_id.lower()


async def _turn_of(
    opinions: Opinions, turn_id: str, user_id: str, *, patient: bool
) -> tuple[str | None, str | None]:
    """The turn's model and trace, which its row has; that is written a moment after the turn was answered."""
    for seconds in PAUSES if patient else ():
        with suppress(NotFound):
            model, trace_id = await opinions.turn_of(turn_id, user_id)
            if trace_id:
                return model, trace_id
        await asyncio.sleep(seconds)
    return await opinions.turn_of(turn_id, user_id)


def _event(doer: Doer, said: Feedback, commitment: bytes | None, *, withdrawn: bool = False) -> AuditRow:
    return opinion.given(doer, said.turn_id, said.rating, commitment, withdrawn=withdrawn)


def _say(caller: Caller, said: Feedback, *, withdrawn: bool = False) -> None:
    """The line of a rating; it belongs to the turn's trace, where that is known."""
    fields = {
        "userId": caller.user_id,
        "role": caller.role,
        "rating": said.rating,
        "withdrawn": withdrawn,
        "commented": said.comment is not None,
        "model": said.model,
        "turnId": said.turn_id,
        **({"traceId": said.trace_id, "spanId": None} if said.trace_id else {}),
    }
    log.tell(log.Line(names.FEEDBACK_GIVEN, INFO, fields, caller.pseudonym))


def _told(said: Feedback) -> FeedbackTold:
    return FeedbackTold(
        turn_id=said.turn_id,
        rating=said.rating,
        comment=said.comment,
        given_at=timestamp(said.given_at),
        trace_id=said.trace_id,
    )
